-- Revokes all of an agent's public keys.
update agent_key set revoked_at = aos_now()
where organization_id = %(organization_id)s and agent_id = %(agent_id)s and revoked_at is null
