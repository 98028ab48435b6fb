-- How many calls of each of these tools and models are under way: intended and not concluded, whoever made them and however
-- long ago. Their limits were locked before, so that nobody else counts or adds to them.
with wanted as (
  select distinct organization_id, kind, name
  from json_to_recordset(%(turns)s::json) as t(organization_id uuid, kind text, name text)
)
select w.organization_id, w.kind, w.name, (
  select count(*)::int from action a
  where a.organization_id = w.organization_id and a.kind = w.kind and a.name = w.name
    and a.state = 'intended' and a.limited) as under_way
from wanted w
