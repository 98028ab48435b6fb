-- Gives the records that wait, lowest (xid, position) first, the next places in the log. The head is locked, so nobody
-- else does; who commits later gets a later place, since it was concurrent.
with taken as (
  delete from ledger_pending p
  using (
    select record_id from ledger_pending
    where organization_id = %(organization_id)s
    order by xid, position, record_id limit %(limit)s
  ) lowest
  where p.organization_id = %(organization_id)s and p.record_id = lowest.record_id
  returning p.record_id, p.leaf, p.xid, p.position
), placed as (
  select record_id, leaf, %(size)s + row_number() over (order by xid, position, record_id) - 1 as index from taken
), inserted as (
  insert into ledger_leaf (organization_id, index, record_id, hash)
  select %(organization_id)s, index, record_id, leaf from placed
)
select index, leaf from placed order by index
