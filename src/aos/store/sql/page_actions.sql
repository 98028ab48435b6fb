-- A page of actions in order of their ids, each with its task, its approval and who answered. `unsettled` asks for those
-- that failed or whose outcome is not known, and that were not done by the same call of the same task; of what the gate
-- itself reads for its rules, which is no call, by the same reading.
with page as (
  select a.* from action a
  where a.organization_id = %(organization_id)s
    and (%(id)s::uuid is null or a.id = %(id)s)
    and (%(ids)s::uuid[] is null or a.id = any(%(ids)s))
    and (%(run)s::uuid is null or a.run_id = %(run)s)
    and (%(task)s::uuid is null or a.task_id = %(task)s)
    and (%(alone)s::boolean is null or (a.run_id is null) = %(alone)s)
    and (%(agent)s::text is null or a.agent_id = (
      select g.id from agent g
      where g.organization_id = %(organization_id)s and (g.name = %(agent)s or g.id::text = %(agent)s)))
    and (%(kind)s::text is null or a.kind = %(kind)s)
    and (%(name)s::text is null or a.name = %(name)s)
    and (%(state)s::text is null or a.state = %(state)s)
    and (%(outcome)s::text is null or a.outcome = %(outcome)s)
    and (%(unsettled)s::boolean is null or (a.state in ('failed', 'unknown')
      and (a.call_key is null or (a.task_id, a.call_key) not in (
        select b.task_id, b.call_key from action b
        where b.organization_id = %(organization_id)s and b.run_id = %(run)s and b.state = 'performed'
          and b.task_id is not null and b.call_key is not null))
      and (a.call_key is not null or a.effect is distinct from 'read' or (a.task_id, a.digest) not in (
        select b.task_id, b.digest from action b
        where b.organization_id = %(organization_id)s and b.run_id = %(run)s and b.state = 'performed'
          and b.task_id is not null and b.effect = 'read'))))
    and (%(from)s::timestamptz is null or a.id >= aos_uuid_floor(%(from)s::timestamptz))
    and (%(to)s::timestamptz is null or a.id < aos_uuid_floor(%(to)s::timestamptz))
    and (%(after_id)s::uuid is null or case when %(descending)s then a.id < %(after_id)s else a.id > %(after_id)s end)
  order by case when not %(descending)s then a.id end, case when %(descending)s then a.id end desc
  limit %(limit)s
)
select a.id, a.kind, a.name, a.effect, a.state, a.outcome, a.rules, g.name as agent, a.agent_version,
  coalesce(d.name, '') as department, a.chain, a.run_id, a.task_id, coalesce(t.label, f.label) as task_label, a.attempt,
  a.digest, a.error_code, a.cost_nanos, a.currency, a.clock, a.intended_at, a.concluded_at, a.arguments_content_id,
  a.decision_content_id, a.outcome_content_id,
  p.id as approval_id, p.status as approval_status, p.answered_at, h.email as answered_by
from page a
left join agent g on g.organization_id = a.organization_id and g.id = a.agent_id
left join department d on d.organization_id = a.organization_id and d.id = a.department_id
left join task t on t.organization_id = a.organization_id and t.id = a.task_id
left join task_finished f on f.organization_id = a.organization_id and f.id = a.task_id
left join lateral (
  select * from approval q where q.organization_id = a.organization_id and q.id = a.approval_id
  union all
  select * from approval q
  where q.organization_id = a.organization_id and q.agent_id = a.agent_id and q.digest = a.digest and q.action_id = a.id
    and a.approval_id is null and a.outcome = 'escalate'
  union all
  select * from approval q
  where q.organization_id = a.organization_id and q.agent_id is null and q.digest = a.digest and q.action_id = a.id
    and a.approval_id is null and a.outcome = 'escalate' and a.agent_id is null
  order by id desc limit 1
) p on true
left join person h on h.id = p.answered_by
order by case when not %(descending)s then a.id end, case when %(descending)s then a.id end desc
