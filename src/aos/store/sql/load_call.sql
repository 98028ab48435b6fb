-- What is recorded under one try of a task's call: its action, and the newest approval that it waits for.
select c.state, c.action_id, c.outcome_content_id, a.error_code, a.digest,
  p.id as approval_id, p.status as approval_status, p.digest as approval_digest, p.rules as approval_rules,
  p.expires_at > aos_now() as approval_stands,
  k.organization_id, k.id, k.data_key_id, k.sealed
from call c
left join action a on a.organization_id = c.organization_id and a.id = c.action_id
left join approval p on p.organization_id = c.organization_id and p.task_id = c.task_id and p.action_id = c.action_id
left join content k on k.organization_id = c.organization_id and k.id = c.outcome_content_id
where c.organization_id = %(organization_id)s and c.task_id = %(task_id)s and c.key = %(key)s
  and c.attempt = %(attempt)s and c.tries = %(tries)s
order by p.id desc nulls last
limit 1
