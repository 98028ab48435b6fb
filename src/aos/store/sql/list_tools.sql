-- A page of tools, each at the version in force, else at the newest that waits.
select t.id, t.name, t.version, coalesce(v.spec, n.spec) as spec, n.version as draft_version, t.created_at, t.updated_at,
  t.retired_at, h.why as held_why, h.first_at as held_since
from tool t
left join held_tool h on h.organization_id = t.organization_id and h.tool_id = t.id and h.version = t.version
left join tool_version v on v.organization_id = t.organization_id and v.tool_id = t.id and v.version = t.version
left join lateral (
  select w.version, w.spec from tool_version w
  where w.organization_id = t.organization_id and w.tool_id = t.id and w.version > t.version
  order by w.version desc limit 1) n on true
where t.organization_id = %(organization_id)s
  and (%(id)s::uuid is null or t.id = %(id)s)
  and (%(name)s::text is null or t.name = %(name)s)
  and (%(effect)s::text is null or coalesce(v.spec, n.spec)->>'effect' = %(effect)s)
  and (%(retired)s::boolean is null or (t.retired_at is not null) = %(retired)s)
  and (%(from)s::timestamptz is null or t.created_at >= %(from)s)
  and (%(to)s::timestamptz is null or t.created_at < %(to)s)
  and (%(after_id)s::uuid is null or case when %(descending)s then t.id < %(after_id)s else t.id > %(after_id)s end)
  and (%(after_name)s::text is null
       or case when %(descending)s then t.name < %(after_name)s else t.name > %(after_name)s end)
order by case when %(by_name)s and not %(descending)s then t.name end,
  case when %(by_name)s and %(descending)s then t.name end desc,
  case when not %(descending)s then t.id end, case when %(descending)s then t.id end desc
limit %(limit)s
