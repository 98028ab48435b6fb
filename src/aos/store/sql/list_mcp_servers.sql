-- A page of MCP servers, each at the version in force, else at the newest that waits.
select p.id, p.name, p.version, coalesce(v.spec, n.spec) as spec, n.version as draft_version, p.created_at, p.updated_at,
  p.retired_at
from mcp_server p
left join mcp_server_version v on v.organization_id = p.organization_id and v.mcp_server_id = p.id and v.version = p.version
left join lateral (
  select w.version, w.spec from mcp_server_version w
  where w.organization_id = p.organization_id and w.mcp_server_id = p.id and w.version > p.version
  order by w.version desc limit 1) n on true
where p.organization_id = %(organization_id)s
  and (%(id)s::uuid is null or p.id = %(id)s)
  and (%(name)s::text is null or p.name = %(name)s)
  and (%(retired)s::boolean is null or (p.retired_at is not null) = %(retired)s)
  and (%(from)s::timestamptz is null or p.created_at >= %(from)s)
  and (%(to)s::timestamptz is null or p.created_at < %(to)s)
  and (%(after_id)s::uuid is null or case when %(descending)s then p.id < %(after_id)s else p.id > %(after_id)s end)
  and (%(after_name)s::text is null
       or case when %(descending)s then p.name < %(after_name)s else p.name > %(after_name)s end)
order by case when %(by_name)s and not %(descending)s then p.name end,
  case when %(by_name)s and %(descending)s then p.name end desc,
  case when not %(descending)s then p.id end, case when %(descending)s then p.id end desc
limit %(limit)s
