-- Registers an agent with its first version, in force or waiting to be; no row where the name is or was taken.
with made as (
  insert into agent (organization_id, id, name, type, status, version, department_id, owner_id)
  values (%(organization_id)s, %(id)s, %(name)s, %(type)s,
    case when %(in_force)s::boolean then 'running' else 'paused' end,
    case when %(in_force)s::boolean then 1 else 0 end, %(department_id)s, %(owner_id)s)
  on conflict (organization_id, name) do nothing
  returning organization_id, id
), versioned as (
  insert into agent_version (organization_id, agent_id, version, id, spec, digest, created_by)
  select organization_id, id, 1, %(version_id)s, %(spec)s::jsonb, %(digest)s, %(created_by)s from made
)
select id from made
