-- Stored hashes of the tree by ranges: leaves at level 0, roots of complete subtrees above.
with wanted as (
  select * from json_to_recordset(%(ranges)s::json) as w(level int, start bigint, count bigint)
)
select 0 as level, l.index, l.hash
from wanted w join ledger_leaf l on l.organization_id = %(organization_id)s
  and l.index >= w.start and l.index < w.start + w.count
where w.level = 0
union all
select n.level, n.index, n.hash
from wanted w join ledger_node n on n.organization_id = %(organization_id)s and n.level = w.level
  and n.index >= w.start and n.index < w.start + w.count
where w.level > 0
