-- How many calls of each of these tools are under way: intended and not concluded, whoever made them and however long ago.
-- Their limits were locked before, so that nobody else counts or adds to them.
with wanted as (
  select distinct organization_id, tool_id, name
  from json_to_recordset(%(tools)s::json) as t(organization_id uuid, tool_id uuid, name text)
)
select w.organization_id, w.name, (
  select count(*)::int from action a
  where a.organization_id = w.organization_id and a.tool_id = w.tool_id and a.state = 'intended' and a.limited) as under_way
from wanted w
