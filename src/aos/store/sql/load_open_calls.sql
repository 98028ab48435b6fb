-- Acts of claimed tasks that an earlier claim intended and never concluded: calls, and what was read to decide on one; and
-- calls that do not know yet what their act came to, since whoever recorded it as unknown died before telling them.
with wanted as (
  select * from json_to_recordset(%(tasks)s::json) as w(organization_id uuid, id uuid)
), standing as (
  select a.organization_id, a.id, k.tries
  from wanted w
  join action a on a.organization_id = w.organization_id and a.task_id = w.id and a.state = 'intended'
  left join call k on k.organization_id = a.organization_id and k.task_id = a.task_id and k.key = a.call_key
    and k.attempt = a.attempt and k.action_id = a.id
  union all
  select a.organization_id, a.id, k.tries
  from wanted w
  join call k on k.organization_id = w.organization_id and k.task_id = w.id and k.state = 'intended'
  join action a on a.organization_id = k.organization_id and a.id = k.action_id and a.state <> 'intended'
)
select a.organization_id, a.id, a.kind, a.name, a.chain, a.run_id, a.task_id, a.attempt, a.call_key, s.tries, a.tool_id,
  a.holds, a.approval_id, a.price_nanos, a.price_currency
from standing s
join action a on a.organization_id = s.organization_id and a.id = s.id
