-- A page of runs, each with who started it, what it cost and how many of its acts were refused or wait.
with page as (
  select r.*, w.name as workflow, a.name as agent
  from run r
  left join workflow w on w.organization_id = r.organization_id and w.id = r.workflow_id
  left join agent a on a.organization_id = r.organization_id and a.id = r.agent_id
  where r.organization_id = %(organization_id)s
    and (%(id)s::uuid is null or r.id = %(id)s)
    and (%(name)s::text is null or r.name = %(name)s)
    and (%(state)s::text is null or r.state = %(state)s)
    and (%(workflow)s::text is null or w.name = %(workflow)s or w.id::text = %(workflow)s)
    and (%(agent)s::text is null or a.name = %(agent)s or a.id::text = %(agent)s)
    and (%(label)s::text is null or r.labels ? %(label)s::text)
    and (%(labels)s::jsonb is null or r.labels @> %(labels)s::jsonb)
    and (%(thread)s::text is null or r.thread = %(thread)s)
    and (%(parent)s::uuid is null or r.parent_run_id = %(parent)s)
    and (%(top)s::boolean is null or (r.parent_run_id is null and r.undoes_id is null) = %(top)s)
    and (%(from)s::timestamptz is null or r.created_at >= %(from)s)
    and (%(to)s::timestamptz is null or r.created_at < %(to)s)
    and (%(after_id)s::uuid is null or case when %(descending)s then r.id < %(after_id)s else r.id > %(after_id)s end)
    and (%(after_name)s::text is null
         or case when %(descending)s then r.name < %(after_name)s else r.name > %(after_name)s end)
  order by case when %(by_name)s and not %(descending)s then r.name end,
    case when %(by_name)s and %(descending)s then r.name end desc,
    case when not %(descending)s then r.id end, case when %(descending)s then r.id end desc
  limit %(limit)s
)
select r.id, r.name, r.state, r.workflow, r.workflow_version, r.agent, coalesce(d.name, '') as department, r.chain,
  r.labels, r.thread, r.clock_start, r.error_code, r.tasks_open, r.tasks_total, r.created_at, r.finished_at,
  r.goal_content_id, r.input_content_id, r.output_content_id, coalesce(u.costs, '[]') as costs, s.currency,
  n.actions, n.refused, n.waiting, r.priority, r.parent_run_id, r.forked_from_id, r.forked_task, r.undoes_id,
  (select count(*) from run b where b.organization_id = r.organization_id and b.parent_run_id = r.id) as nested,
  (select b.id from run b where b.organization_id = r.organization_id and b.undoes_id = r.id) as undone_by
from page r
join organization_settings s on s.organization_id = r.organization_id
left join department d on d.organization_id = r.organization_id and d.id = r.department_id
left join lateral (
  select jsonb_agg(jsonb_build_object('currency', c.currency, 'nanos', c.nanos::text) order by c.currency) as costs
  from (
    select e.currency, sum(e.cost_nanos) as nanos from usage_event e
    where e.organization_id = r.organization_id and e.run_id = r.id
    group by e.currency
  ) c
) u on true
cross join lateral (
  select count(*) as actions, count(*) filter (where x.state = 'refused') as refused,
    count(*) filter (where x.state = 'waiting') as waiting
  from action x where x.organization_id = r.organization_id and x.run_id = r.id
) n
order by case when %(by_name)s and not %(descending)s then r.name end,
  case when %(by_name)s and %(descending)s then r.name end desc,
  case when not %(descending)s then r.id end, case when %(descending)s then r.id end desc
