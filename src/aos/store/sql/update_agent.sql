-- Gives an agent a new version; no row where it is retired or another version was made meanwhile.
with changed as (
  update agent set version = version + 1, type = %(type)s, department_id = %(department_id)s, owner_id = %(owner_id)s,
    updated_at = aos_now()
  where organization_id = %(organization_id)s and id = %(id)s and version = %(version)s and status <> 'retired'
  returning organization_id, id, version
), versioned as (
  insert into agent_version (organization_id, agent_id, version, id, spec, digest, created_by)
  select organization_id, id, version, %(version_id)s, %(spec)s::jsonb, %(digest)s, %(created_by)s from changed
)
select version from changed
