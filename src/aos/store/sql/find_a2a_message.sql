-- The message by which an attempt of a task is sent to an agent elsewhere: its own, or one of an attempt before of which nobody knows
-- whether it arrived; none where it is to be a new one.
select r.message_id
from a2a_remote r
where r.organization_id = %(organization_id)s and r.task_id = %(task_id)s and r.agent_id = %(agent_id)s
  and (r.attempt = %(attempt)s or (r.remote_task_id is null and r.ended_at is null))
order by r.attempt = %(attempt)s desc nulls last, r.created_at desc
limit 1
