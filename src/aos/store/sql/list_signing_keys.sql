-- A page of an organization's signing keys, without their private halves.
select k.id, k.purpose, k.state, k.public_key, k.created_at, k.retired_at
from signing_key k
where k.organization_id = %(organization_id)s
  and (%(purpose)s::text is null or k.purpose = %(purpose)s)
  and (%(state)s::text is null or k.state = %(state)s)
  and (%(from)s::timestamptz is null or k.created_at >= %(from)s)
  and (%(to)s::timestamptz is null or k.created_at < %(to)s)
  and (%(after_id)s::uuid is null or case when %(descending)s then k.id < %(after_id)s else k.id > %(after_id)s end)
order by case when not %(descending)s then k.id end, case when %(descending)s then k.id end desc
limit %(limit)s
