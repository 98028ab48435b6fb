-- Has the sessions with an MCP server begun anew, in every process, and forgets which of its tools were held; no row where it is not in force.
with restarted as (
  update mcp_server set restarts = restarts + 1
  where organization_id = %(organization_id)s and id = %(id)s and retired_at is null and version > 0
  returning organization_id, name, version, restarts
), forgotten as (
  delete from held_tool h using restarted r, tool t, tool_version v
  where h.organization_id = r.organization_id and t.organization_id = h.organization_id and t.id = h.tool_id
    and v.organization_id = t.organization_id and v.tool_id = t.id and v.version = t.version
    and v.spec->'options'->>'server' = r.name
)
select version, restarts from restarted
