-- A page of what a run's agents reported, in its order: progress, KPIs, an observer's findings.
select r.id, r.kind, r.task_id, coalesce(t.label, f.label) as task, g.name as agent, r.content_id, r.created_at
from report r
left join task t on t.organization_id = r.organization_id and t.id = r.task_id
left join task_finished f on f.organization_id = r.organization_id and f.id = r.task_id
left join agent g on g.organization_id = r.organization_id and g.id = r.agent_id
where r.organization_id = %(organization_id)s and r.run_id = %(run_id)s
  and (%(kind)s::text is null or r.kind = %(kind)s)
  and (%(after_id)s::uuid is null or r.id > %(after_id)s)
order by r.id
limit %(limit)s
