-- Files a new version of a policy, a draft; no row where another was made meanwhile. A retired policy comes back.
with changed as (
  update policy set version = version + 1, retired_at = null
  where organization_id = %(organization_id)s and id = %(id)s and version = %(version)s
  returning organization_id, id, version
), versioned as (
  insert into policy_version (organization_id, policy_id, version, id, state, spec, digest, created_by)
  select organization_id, id, version, %(version_id)s, 'draft', %(spec)s::jsonb, %(digest)s, %(created_by)s from changed
)
select version from changed
