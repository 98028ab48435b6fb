-- Gives a tool a new version; no row where another was made meanwhile. A retired tool comes back.
with changed as (
  update tool set version = version + 1, updated_at = aos_now(), retired_at = null
  where organization_id = %(organization_id)s and id = %(id)s and version = %(version)s
  returning organization_id, id, version
), versioned as (
  insert into tool_version (organization_id, tool_id, version, id, spec, digest, created_by)
  select organization_id, id, version, %(version_id)s, %(spec)s::jsonb, %(digest)s, %(created_by)s from changed
)
select version from changed
