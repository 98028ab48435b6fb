-- Registers an MCP server with its first version, in force or waiting to be; no row where the name is or was taken.
with made as (
  insert into mcp_server (organization_id, id, name, version)
  values (%(organization_id)s, %(id)s, %(name)s, case when %(in_force)s::boolean then 1 else 0 end)
  on conflict (organization_id, name) do nothing
  returning organization_id, id
), versioned as (
  insert into mcp_server_version (organization_id, mcp_server_id, version, id, spec, digest, created_by)
  select organization_id, id, 1, %(version_id)s, %(spec)s::jsonb, %(digest)s, %(created_by)s from made
)
select id from made
