-- What stands on the accounts that an act would be held against; an account that is not opened yet is untouched.
select b.limit_nanos, b.currency, b.name, coalesce(a.held_nanos, 0) as held_nanos,
  coalesce(a.settled_nanos, 0) as settled_nanos
from json_to_recordset(%(accounts)s::json) as w(organization_id uuid, budget_id uuid, period_start date)
join budget b on b.organization_id = w.organization_id and b.id = w.budget_id
left join budget_account a on a.organization_id = w.organization_id and a.budget_id = w.budget_id
  and a.period_start = w.period_start
