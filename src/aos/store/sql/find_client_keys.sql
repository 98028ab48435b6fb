-- The public keys by which a client that names itself by an agent's id or name may prove it, of any organization unless it
-- is named too; the one of the thumbprint given first, then those of the id: whoever takes it for a name comes last.
select k.organization_id, k.id, k.public_key, a.id as agent_id, aos_now() as now
from agent a
join agent_key k on k.organization_id = a.organization_id and k.agent_id = a.id and k.revoked_at is null
where (a.id = %(agent_id)s::uuid or a.name = %(name)s::text) and a.status <> 'retired'
  and (%(organization_id)s::uuid is null or a.organization_id = %(organization_id)s::uuid)
order by k.thumbprint is not distinct from %(thumbprint)s::text desc,
  a.id is not distinct from %(agent_id)s::uuid desc, k.id desc
limit %(rows_max)s
