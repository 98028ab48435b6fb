-- Takes its tasks from an agent: the claim's token is gone, so whoever holds it can write nothing more.
update task set claim_token = null, lease_until = aos_now()
where organization_id = %(organization_id)s and agent_id = %(agent_id)s and state = 'running'
