-- Moves the head over the leaves just placed, with the subtree roots that became complete and the signed checkpoint.
with nodes as (
  insert into ledger_node (organization_id, level, index, hash)
  select %(organization_id)s, n.level, n.index, n.hash
  from json_to_recordset(%(nodes)s::json) as n(level smallint, index bigint, hash bytea)
), signed as (
  insert into ledger_checkpoint (organization_id, size, note, key_id)
  values (%(organization_id)s, %(size)s, %(note)s, %(key_id)s)
)
update ledger_head set size = %(size)s, peaks = %(peaks)s, checkpoint = %(note)s, signed_at = aos_now()
where organization_id = %(organization_id)s
