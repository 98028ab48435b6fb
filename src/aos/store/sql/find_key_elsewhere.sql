-- Whether an agent of the same name in another organization holds a public key.
select true as found
from agent a
join agent_key k on k.organization_id = a.organization_id and k.agent_id = a.id and k.revoked_at is null
where a.name = %(name)s and a.organization_id <> %(organization_id)s and a.status <> 'retired'
  and k.thumbprint = %(thumbprint)s
limit 1
