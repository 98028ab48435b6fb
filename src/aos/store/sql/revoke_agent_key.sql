-- Revokes one of an agent's keys; no row where there is none, or it is revoked.
update agent_key set revoked_at = aos_now()
where organization_id = %(organization_id)s and agent_id = %(agent_id)s and id = %(id)s and revoked_at is null
returning id
