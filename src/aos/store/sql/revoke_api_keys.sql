-- Revokes one of an agent's API keys, or all of them.
update api_key set revoked_at = aos_now()
where organization_id = %(organization_id)s and agent_id = %(agent_id)s and revoked_at is null
  and (%(id)s::uuid is null or id = %(id)s)
returning id
