-- A page of one person's tokens of one issuer, without the tokens.
select t.id, t.kind, t.label, t.created_at, t.expires_at, t.revoked_at
from person_token t
where t.person_id = %(person_id)s and t.issuer_id = %(issuer_id)s and t.kind = 'personal'
  and (%(id)s::uuid is null or t.id = %(id)s)
  and (%(from)s::timestamptz is null or t.created_at >= %(from)s)
  and (%(to)s::timestamptz is null or t.created_at < %(to)s)
  and (%(after_id)s::uuid is null or case when %(descending)s then t.id < %(after_id)s else t.id > %(after_id)s end)
order by case when not %(descending)s then t.id end, case when %(descending)s then t.id end desc
limit %(limit)s
