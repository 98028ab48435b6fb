-- Acts of claimed tasks that an earlier claim intended and never concluded: calls, and what was read to decide on one.
select a.organization_id, a.id, a.kind, a.name, a.chain, a.run_id, a.task_id, a.attempt, a.call_key, k.tries, a.tool_id,
  a.holds, a.approval_id
from json_to_recordset(%(tasks)s::json) as w(organization_id uuid, id uuid)
join action a on a.organization_id = w.organization_id and a.task_id = w.id and a.state = 'intended'
left join call k on k.organization_id = a.organization_id and k.task_id = a.task_id and k.key = a.call_key
  and k.attempt = a.attempt and k.action_id = a.id
