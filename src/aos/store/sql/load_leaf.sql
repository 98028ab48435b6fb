-- A record's place in the log, with its bytes; index is null while it waits.
select r.id, r.bytes, l.index, l.hash
from record r left join ledger_leaf l on l.organization_id = r.organization_id and l.record_id = r.id
where r.organization_id = %(organization_id)s and r.id = %(id)s
