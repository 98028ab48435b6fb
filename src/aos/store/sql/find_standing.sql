-- Whether a credential still stands: an agent's API key or public key, or a person's token with the roles that it carries now.
select null::text[] as roles
from api_key k join agent a on a.organization_id = k.organization_id and a.id = k.agent_id
where k.organization_id = %(organization_id)s and k.id = %(credential_id)s and k.revoked_at is null
  and (k.expires_at is null or k.expires_at > aos_now()) and a.status <> 'retired'
union all
select null::text[]
from agent_key k join agent a on a.organization_id = k.organization_id and a.id = k.agent_id
where k.organization_id = %(organization_id)s and k.id = %(credential_id)s and k.revoked_at is null
  and a.status <> 'retired'
union all
select m.roles
from person_token t join member m on m.person_id = t.person_id and m.organization_id = %(organization_id)s
  and (m.organization_id = t.issuer_id or m.founded_from_id = t.issuer_id)
where t.id = %(credential_id)s and t.revoked_at is null and t.expires_at > aos_now()
