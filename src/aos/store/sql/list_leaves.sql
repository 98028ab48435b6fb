-- A run of leaves in the log's order, each with its record's bytes where they are kept.
select l.index, l.hash, r.id, r.kind, r.bytes
from ledger_leaf l
left join record r on r.organization_id = l.organization_id and r.id = l.record_id
where l.organization_id = %(organization_id)s and l.index >= %(start)s and l.index < %(end)s
order by l.index
limit %(limit)s
