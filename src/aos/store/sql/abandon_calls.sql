-- Carries what actions have come to over to their calls, where a call still stands as intended: the outcome was recorded
-- without the task's claim, which was gone.
update call k set state = a.state, outcome_content_id = a.outcome_content_id, seq = nextval('call_seq')
from json_to_recordset(%(actions)s::json) as w(organization_id uuid, id uuid)
join action a on a.organization_id = w.organization_id and a.id = w.id
where k.organization_id = a.organization_id and k.task_id = a.task_id and k.key = a.call_key and k.attempt = a.attempt
  and k.action_id = a.id and k.state = 'intended' and a.state in ('performed', 'failed', 'unknown')
returning k.organization_id, k.task_id, k.key
