-- Gives an MCP server a new version, in force or waiting to be; no row where another came in force meanwhile. In force, it brings
-- a retired MCP server back.
with changed as (
  update mcp_server set updated_at = aos_now(),
    version = case when %(in_force)s::boolean then %(next)s else version end,
    retired_at = case when %(in_force)s::boolean then null else retired_at end
  where organization_id = %(organization_id)s and id = %(id)s and version = %(version)s
  returning organization_id, id
), versioned as (
  insert into mcp_server_version (organization_id, mcp_server_id, version, id, spec, digest, created_by)
  select organization_id, id, %(next)s, %(version_id)s, %(spec)s::jsonb, %(digest)s, %(created_by)s from changed
)
select id from changed
