-- What the log holds of one run after leaf `after`, in the log's order. Near the log's end the new leaves are looked
-- through; further back the run's own records are. Either finds the same: only the work differs.
with behind as (
  select coalesce((select size from ledger_head where organization_id = %(organization_id)s), 0) - 1 - %(after)s::bigint
    as leaves
), fresh as materialized (
  select index, record_id from ledger_leaf
  where organization_id = %(organization_id)s and index > %(after)s::bigint
    and (select leaves from behind) <= %(near)s
), placed as (
  select f.index, r.id
  from fresh f
  join record r on r.organization_id = %(organization_id)s and r.id = f.record_id
  where r.run_id = %(run_id)s
  union all
  select l.index, r.id
  from record r
  join ledger_leaf l on l.organization_id = %(organization_id)s and l.record_id = r.id
  where r.organization_id = %(organization_id)s and r.run_id = %(run_id)s and l.index > %(after)s::bigint
    and (select leaves from behind) > %(near)s
  order by index limit %(limit)s
)
select p.index, r.kind, r.bytes, a.id as action_id, a.kind as act_kind, a.name as act_name
from placed p
join record r on r.organization_id = %(organization_id)s and r.id = p.id
left join action a on a.organization_id = %(organization_id)s and a.id = r.action_id
order by p.index
