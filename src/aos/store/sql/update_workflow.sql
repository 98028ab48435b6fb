-- Gives a workflow a new version, in force or waiting; no row where another was made meanwhile. A retired workflow comes back
-- with a version in force.
with changed as (
  update workflow set version = case when %(in_force)s then %(next)s::int else version end,
    retired_at = case when %(in_force)s then null else retired_at end
  where organization_id = %(organization_id)s and id = %(id)s and version = %(version)s
  returning organization_id, id
), versioned as (
  insert into workflow_version (organization_id, workflow_id, version, id, spec, digest, created_by)
  select organization_id, id, %(next)s, %(version_id)s, %(spec)s::jsonb, %(digest)s, %(created_by)s from changed
)
select id from changed
