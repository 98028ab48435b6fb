-- Files a policy with its first version; no row where the name is or was taken.
with made as (
  insert into policy (organization_id, id, name, version) values (%(organization_id)s, %(id)s, %(name)s, 1)
  on conflict (organization_id, name) do nothing
  returning organization_id, id
), versioned as (
  insert into policy_version (organization_id, policy_id, version, id, state, spec, digest, created_by)
  select organization_id, id, 1, %(version_id)s, 'draft', %(spec)s::jsonb, %(digest)s, %(created_by)s from made
)
select id from made
