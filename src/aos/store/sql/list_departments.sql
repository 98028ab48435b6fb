-- A page of departments.
select d.id, d.name, d.cost_center, d.created_at
from department d
where d.organization_id = %(organization_id)s
  and (%(id)s::uuid is null or d.id = %(id)s)
  and (%(name)s::text is null or d.name = %(name)s)
  and (%(cost_center)s::text is null or d.cost_center = %(cost_center)s)
  and (%(from)s::timestamptz is null or d.created_at >= %(from)s)
  and (%(to)s::timestamptz is null or d.created_at < %(to)s)
  and (%(after_id)s::uuid is null or case when %(descending)s then d.id < %(after_id)s else d.id > %(after_id)s end)
  and (%(after_name)s::text is null
       or case when %(descending)s then d.name < %(after_name)s else d.name > %(after_name)s end)
order by case when %(by_name)s and not %(descending)s then d.name end,
  case when %(by_name)s and %(descending)s then d.name end desc,
  case when not %(descending)s then d.id end, case when %(descending)s then d.id end desc
limit %(limit)s
