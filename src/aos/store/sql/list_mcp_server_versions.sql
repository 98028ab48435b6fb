-- A page of an MCP server's versions.
select v.id, v.version, v.spec, v.digest, v.created_by, v.created_at
from mcp_server_version v
where v.organization_id = %(organization_id)s and v.mcp_server_id = %(mcp_server_id)s
  and (%(after)s::int is null or case when %(descending)s then v.version < %(after)s else v.version > %(after)s end)
order by case when not %(descending)s then v.version end, case when %(descending)s then v.version end desc
limit %(limit)s
