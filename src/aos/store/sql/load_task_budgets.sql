-- The budgets of one task and of every task above it: those that spawned it, and that whose run it belongs to.
with recursive above as (
  select t.id, t.parent_id, t.run_id from task t
  where t.organization_id = %(organization_id)s and t.id = %(task_id)s
  union all
  select p.id, p.parent_id, p.run_id from above a
  cross join lateral (
    select coalesce(a.parent_id, r.parent_task_id) as id from run r
    where r.organization_id = %(organization_id)s and r.id = a.run_id) n
  join task p on p.organization_id = %(organization_id)s and p.id = n.id
)
select coalesce(jsonb_agg(jsonb_build_object('id', b.id, 'name', b.name, 'scope', b.scope, 'scope_id', b.scope_id,
    'limit', jsonb_build_object('nanos', b.limit_nanos, 'currency', b.currency), 'period', b.period)), '[]') as budgets
from above a
cross join lateral (
  select * from budget
  where organization_id = %(organization_id)s and scope_id = a.id and scope = 'task' and retired_at is null offset 0) b
