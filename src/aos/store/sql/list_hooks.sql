-- A page of hooks, each with its owner.
select h.id, h.name, h.does, h.target_kind, h.target, h.mapping, h.accepts, h.secret_id, s.version as secret_version, h.owner_id,
  p.email as owner, h.enabled, h.last_at, h.created_at, h.updated_at, h.retired_at
from hook h
join person p on p.id = h.owner_id
join secret s on s.organization_id = h.organization_id and s.id = h.secret_id
where h.organization_id = %(organization_id)s
  and (%(id)s::uuid is null or h.id = %(id)s)
  and (%(name)s::text is null or (h.name = %(name)s and h.retired_at is null))
  and (%(enabled)s::boolean is null or h.enabled = %(enabled)s)
  and (%(retired)s::boolean is null or (h.retired_at is not null) = %(retired)s)
  and (%(from)s::timestamptz is null or h.created_at >= %(from)s)
  and (%(to)s::timestamptz is null or h.created_at < %(to)s)
  and (%(after_id)s::uuid is null or case when %(descending)s then h.id < %(after_id)s else h.id > %(after_id)s end)
  and (%(after_name)s::text is null
       or case when %(descending)s then h.name < %(after_name)s else h.name > %(after_name)s end)
order by case when %(by_name)s and not %(descending)s then h.name end,
  case when %(by_name)s and %(descending)s then h.name end desc,
  case when not %(descending)s then h.id end, case when %(descending)s then h.id end desc
limit %(limit)s
