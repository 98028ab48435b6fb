-- Puts a version of an MCP server that waits in force; no row where a later version is. A retired MCP server comes back.
update mcp_server p set version = v.version, updated_at = aos_now(), retired_at = null
from mcp_server_version v
where p.organization_id = %(organization_id)s and p.id = %(id)s
  and v.organization_id = p.organization_id and v.mcp_server_id = p.id and v.version = %(version)s and v.version > p.version
returning v.digest
