-- A page of schedules, each with its owner and how its last run stands.
select s.id, s.name, s.target_kind, s.target, s.cron, s.timezone, s.input_content_id, s.goal, s.labels, s.priority,
  s.catch_up, s.overlap, s.owner_id, p.email as owner, s.enabled, s.next_at, s.last_at, s.last_run_id, r.state as last_run_state,
  s.last_error, s.created_at, s.updated_at, s.retired_at
from schedule s
join person p on p.id = s.owner_id
left join run r on r.organization_id = s.organization_id and r.id = s.last_run_id
where s.organization_id = %(organization_id)s
  and (%(id)s::uuid is null or s.id = %(id)s)
  and (%(name)s::text is null or (s.name = %(name)s and s.retired_at is null))
  and (%(enabled)s::boolean is null or s.enabled = %(enabled)s)
  and (%(retired)s::boolean is null or (s.retired_at is not null) = %(retired)s)
  and (%(from)s::timestamptz is null or s.created_at >= %(from)s)
  and (%(to)s::timestamptz is null or s.created_at < %(to)s)
  and (%(after_id)s::uuid is null or case when %(descending)s then s.id < %(after_id)s else s.id > %(after_id)s end)
  and (%(after_name)s::text is null
       or case when %(descending)s then s.name < %(after_name)s else s.name > %(after_name)s end)
order by case when %(by_name)s and not %(descending)s then s.name end,
  case when %(by_name)s and %(descending)s then s.name end desc,
  case when not %(descending)s then s.id end, case when %(descending)s then s.id end desc
limit %(limit)s
