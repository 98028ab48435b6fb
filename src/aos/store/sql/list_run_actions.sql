-- The actions of one run in the order in which they were asked for, after a given one.
select a.id, a.kind, a.name, a.effect, a.state, a.outcome, a.rules, a.error_code, a.intended_at, a.cost_nanos, a.currency,
  t.label as task, g.name as agent, g.type as agent_type, p.status as approval, w.email as answered_by,
  a.organization_id, k.id as content_id, k.data_key_id, k.sealed
from action a
left join task t on t.organization_id = a.organization_id and t.id = a.task_id
left join agent g on g.organization_id = a.organization_id and g.id = a.agent_id
left join approval p on p.organization_id = a.organization_id and p.id = a.approval_id
left join person w on w.id = p.answered_by
left join content k on k.organization_id = a.organization_id and k.id = a.arguments_content_id and %(content)s
where a.organization_id = %(organization_id)s and a.run_id = %(run_id)s
  and (%(after)s::uuid is null or a.id > %(after)s)
order by a.id
limit %(limit)s
