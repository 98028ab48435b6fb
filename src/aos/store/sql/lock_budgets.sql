-- Opens the accounts of the current period that are missing, then locks and returns those that a batch touches.
with wanted as (
  select distinct organization_id, budget_id, period_start
  from json_to_recordset(%(accounts)s::json) as a(organization_id uuid, budget_id uuid, period_start date)
), opened as (
  insert into budget_account (organization_id, budget_id, period_start)
  select organization_id, budget_id, period_start from wanted
  order by 1, 2, 3
  on conflict (organization_id, budget_id, period_start) do nothing
  returning organization_id, budget_id, period_start, held_nanos, settled_nanos
), locked as (
  select a.organization_id, a.budget_id, a.period_start, a.held_nanos, a.settled_nanos
  from budget_account a join wanted w using (organization_id, budget_id, period_start)
  order by a.organization_id, a.budget_id, a.period_start for update of a
), account as (
  select * from opened union all select * from locked
)
select account.*, b.limit_nanos, b.currency, b.name
from account join budget b on b.organization_id = account.organization_id and b.id = account.budget_id
