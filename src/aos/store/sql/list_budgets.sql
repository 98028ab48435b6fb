-- A page of budgets, with what is charged and held in the period that runs now.
select b.id, b.name, b.scope, b.scope_id, coalesce(a.name, d.name, '') as scope_name, b.currency, b.limit_nanos,
  b.period, b.warn_at, b.on_limit, b.revision, b.created_at, b.retired_at,
  coalesce(u.settled_nanos, 0) as settled_nanos, coalesce(u.held_nanos, 0) as held_nanos
from budget b
join organization_settings s on s.organization_id = b.organization_id
left join budget_account u on u.organization_id = b.organization_id and u.budget_id = b.id
  and u.period_start = case b.period
    when 'total' then date '0001-01-01'
    else date_trunc(b.period, aos_now() at time zone s.timezone)::date end
left join agent a on a.organization_id = b.organization_id and a.id = b.scope_id
left join department d on d.organization_id = b.organization_id and d.id = b.scope_id
where b.organization_id = %(organization_id)s
  and (%(id)s::uuid is null or b.id = %(id)s)
  and (%(name)s::text is null or b.name = %(name)s)
  and (%(scope)s::text is null or b.scope = %(scope)s)
  and (%(retired)s::boolean is null or (b.retired_at is not null) = %(retired)s)
  and (%(from)s::timestamptz is null or b.created_at >= %(from)s)
  and (%(to)s::timestamptz is null or b.created_at < %(to)s)
  and (%(after_id)s::uuid is null or case when %(descending)s then b.id < %(after_id)s else b.id > %(after_id)s end)
  and (%(after_name)s::text is null
       or case when %(descending)s then b.name < %(after_name)s else b.name > %(after_name)s end)
order by case when %(by_name)s and not %(descending)s then b.name end,
  case when %(by_name)s and %(descending)s then b.name end desc,
  case when not %(descending)s then b.id end, case when %(descending)s then b.id end desc
limit %(limit)s
