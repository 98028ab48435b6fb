-- An agent's API key by its hash, with what stands against its use.
select k.organization_id, k.id, k.agent_id, a.name as agent_name, a.version as agent_version, a.owner_id,
  p.email as owner_email, k.expires_at, o.epoch
from api_key k
join agent a on a.organization_id = k.organization_id and a.id = k.agent_id
join person p on p.id = a.owner_id
join organization o on o.id = k.organization_id
where k.key_hash = %(hash)s and k.revoked_at is null and (k.expires_at is null or k.expires_at > aos_now())
  and a.status <> 'retired'
