-- Acts that were intended and not concluded by their deadline, wherever they came from.
select a.organization_id, a.id, a.kind, a.name, a.chain, a.run_id, a.task_id, a.attempt, a.call_key, k.tries, a.tool_id,
  a.holds, a.approval_id, a.price_nanos, a.price_currency
from action a
left join call k on k.organization_id = a.organization_id and k.task_id = a.task_id and k.key = a.call_key
  and k.attempt = a.attempt and k.action_id = a.id
where a.state = 'intended' and a.deadline < aos_now()
order by a.deadline
limit %(actions_max)s
