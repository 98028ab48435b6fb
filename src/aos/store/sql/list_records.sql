-- A page of the log, newest first.
select l.index, l.hash, r.id, r.kind, r.bytes
from ledger_leaf l
left join record r on r.organization_id = l.organization_id and r.id = l.record_id
where l.organization_id = %(organization_id)s
  and (%(before)s::bigint is null or l.index < %(before)s)
  and (%(kind)s::text is null or r.kind = %(kind)s)
  and (%(run)s::uuid is null or r.run_id = %(run)s)
  and (%(action)s::uuid is null or r.action_id = %(action)s)
  and (%(from)s::timestamptz is null or r.id >= aos_uuid_floor(%(from)s::timestamptz))
  and (%(to)s::timestamptz is null or r.id < aos_uuid_floor(%(to)s::timestamptz))
order by l.index desc
limit %(limit)s
