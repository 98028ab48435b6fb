-- The standing budgets of these scopes, with what is charged and held in the period that runs now.
select b.scope_id, b.id, b.name, b.scope, b.currency, b.limit_nanos, b.period,
  coalesce(a.settled_nanos, 0) as settled_nanos, coalesce(a.held_nanos, 0) as held_nanos
from budget b
join organization_settings s on s.organization_id = b.organization_id
left join budget_account a on a.organization_id = b.organization_id and a.budget_id = b.id
  and a.period_start = case b.period
    when 'total' then date '0001-01-01'
    else date_trunc(b.period, aos_now() at time zone s.timezone)::date end
where b.organization_id = %(organization_id)s and b.scope_id = any(%(ids)s::uuid[]) and b.retired_at is null
order by b.name
