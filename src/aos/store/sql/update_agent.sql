-- Gives an agent a new version, in force or waiting to be; no row where it is retired or another version came in force
-- meanwhile. The row says what is in force: version 0 is nothing, and only then does a version that waits change it.
with changed as (
  update agent set updated_at = aos_now(),
    status = case when %(in_force)s::boolean and version = 0 and status = 'paused' then 'running' else status end,
    version = case when %(in_force)s::boolean then %(next)s else version end,
    type = case when %(in_force)s::boolean or version = 0 then %(type)s else type end,
    department_id = case when %(in_force)s::boolean or version = 0 then %(department_id)s::uuid else department_id end,
    owner_id = case when %(in_force)s::boolean or version = 0 then %(owner_id)s::uuid else owner_id end
  where organization_id = %(organization_id)s and id = %(id)s and version = %(version)s and status <> 'retired'
  returning organization_id, id
), versioned as (
  insert into agent_version (organization_id, agent_id, version, id, spec, digest, created_by)
  select organization_id, id, %(next)s, %(version_id)s, %(spec)s::jsonb, %(digest)s, %(created_by)s from changed
)
select id from changed
