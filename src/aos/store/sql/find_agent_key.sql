-- An agent by the public key that an access token was given for, while both stand.
select k.organization_id, k.id, k.agent_id, a.name as agent_name, a.version as agent_version, a.owner_id,
  p.email as owner_email, o.epoch
from agent_key k
join agent a on a.organization_id = k.organization_id and a.id = k.agent_id
join person p on p.id = a.owner_id
join organization o on o.id = k.organization_id
where k.organization_id = %(organization_id)s and k.id = %(key_id)s and k.agent_id = %(agent_id)s
  and k.revoked_at is null and a.status <> 'retired'
