-- Acts of claimed tasks that an earlier claim intended and never concluded.
select a.organization_id, a.id, a.kind, a.name, a.chain, a.run_id, a.task_id, a.attempt, a.call_key, k.tries, a.tool_id,
  a.holds, a.approval_id
from json_to_recordset(%(tasks)s::json) as w(organization_id uuid, id uuid)
join call k on k.organization_id = w.organization_id and k.task_id = w.id and k.state = 'intended'
join action a on a.organization_id = k.organization_id and a.id = k.action_id
where a.state = 'intended'
