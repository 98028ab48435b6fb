-- The ledger records of these actions with their places in the log, null while they wait for one.
select r.action_id, r.id, r.kind, l.index
from record r
left join ledger_leaf l on l.organization_id = r.organization_id and l.record_id = r.id
where r.organization_id = %(organization_id)s and r.action_id = any(%(ids)s::uuid[])
order by r.action_id, l.index nulls last, r.id
