-- A page of secrets, names only; signing keys and hooks' secrets are not among them.
select s.id, s.name, s.version, s.created_at, s.updated_at
from secret s
where s.organization_id = %(organization_id)s and s.name not like 'signing/%%' and s.name not like 'hook/%%' and length(s.sealed) > 0
  and (%(id)s::uuid is null or s.id = %(id)s)
  and (%(name)s::text is null or s.name = %(name)s)
  and (%(from)s::timestamptz is null or s.created_at >= %(from)s)
  and (%(to)s::timestamptz is null or s.created_at < %(to)s)
  and (%(after_id)s::uuid is null or case when %(descending)s then s.id < %(after_id)s else s.id > %(after_id)s end)
  and (%(after_name)s::text is null
       or case when %(descending)s then s.name < %(after_name)s else s.name > %(after_name)s end)
order by case when %(by_name)s and not %(descending)s then s.name end,
  case when %(by_name)s and %(descending)s then s.name end desc,
  case when not %(descending)s then s.id end, case when %(descending)s then s.id end desc
limit %(limit)s
