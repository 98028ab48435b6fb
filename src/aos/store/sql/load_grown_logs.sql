-- Which of the logs that somebody watches have grown past the leaves seen, and which of the runs watched there the new
-- leaves belong to; none are named of a log that has grown by more than `near`. New leaves are looked up one by one
-- (`offset 0` keeps it so): the runs' own records may be many more.
select h.organization_id, h.size, coalesce(grown.runs, '{}') as runs
from json_to_recordset(%(watched)s::json) as w(organization_id uuid, seen bigint, runs uuid[])
join ledger_head h on h.organization_id = w.organization_id and h.size <> w.seen
left join lateral (
  select array_agg(distinct r.run_id) as runs
  from (
    select l.record_id from ledger_leaf l
    where l.organization_id = w.organization_id and l.index >= w.seen and h.size - w.seen <= %(near)s
    offset 0
  ) fresh
  cross join lateral (
    select r.run_id from record r where r.organization_id = w.organization_id and r.id = fresh.record_id offset 0
  ) r
  where r.run_id = any(w.runs)
) grown on true
