-- Retires an MCP server; no row where it is retired.
update mcp_server set retired_at = aos_now(), updated_at = aos_now()
where organization_id = %(organization_id)s and id = %(id)s and retired_at is null
returning id
