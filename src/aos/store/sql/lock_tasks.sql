-- Locks tasks in one fixed order, before a statement that ends, parks, starts or wakes them reads what hangs on them:
-- a statement's snapshot is older than the locks it takes itself.
select t.organization_id, t.id
from task t
join (
  select distinct organization_id, id
  from json_to_recordset(%(tasks)s::json) as w(organization_id uuid, id uuid)
) w on t.organization_id = w.organization_id and t.id = w.id
order by t.organization_id, t.id for update of t
