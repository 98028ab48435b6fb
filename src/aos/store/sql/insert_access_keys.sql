-- Files the first keys that sign an organization's access tokens, with their private halves as secrets; none where it has
-- some. Its row is locked.
with missing as (
  select g.* from json_to_recordset(%(keys)s::json) as g(organization_id uuid, id uuid, purpose text, state text,
    public_key bytea, secret_id uuid, secret_name text, data_key_id uuid, sealed bytea)
  where not exists (
    select from signing_key s
    where s.organization_id = g.organization_id and s.purpose = g.purpose and s.state <> 'retired')
), sealed as (
  insert into secret (organization_id, id, name, data_key_id, sealed)
  select organization_id, secret_id, secret_name, data_key_id, sealed from missing
)
insert into signing_key (organization_id, id, purpose, state, public_key, secret_id)
select organization_id, id, purpose, state, public_key, secret_id from missing
returning id
