-- A page of the organization's people.
select p.id, p.email, p.name, m.roles, m.created_at
from member m join person p on p.id = m.person_id
where m.organization_id = %(organization_id)s
  and (%(id)s::uuid is null or p.id = %(id)s)
  and (%(name)s::text is null or p.email = lower(%(name)s))
  and (%(role)s::text is null or %(role)s = any(m.roles))
  and (%(from)s::timestamptz is null or m.created_at >= %(from)s)
  and (%(to)s::timestamptz is null or m.created_at < %(to)s)
  and (%(after_id)s::uuid is null or case when %(descending)s then p.id < %(after_id)s else p.id > %(after_id)s end)
  and (%(after_name)s::text is null
       or case when %(descending)s then p.email < %(after_name)s else p.email > %(after_name)s end)
order by case when %(by_name)s and not %(descending)s then p.email end,
  case when %(by_name)s and %(descending)s then p.email end desc,
  case when not %(descending)s then p.id end, case when %(descending)s then p.id end desc
limit %(limit)s
