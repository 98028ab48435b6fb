-- How many checkpoints a thread of an agent holds.
select count(*)::int as count from checkpoint
where organization_id = %(organization_id)s and agent_id = %(agent_id)s and thread = %(thread)s
