-- The tools whose calls are held at the version in force, with their servers, why and since when.
select t.name, v.spec->'options'->>'server' as server, h.why, h.first_at
from held_tool h
join tool t on t.organization_id = h.organization_id and t.id = h.tool_id and t.version = h.version
join tool_version v on v.organization_id = t.organization_id and v.tool_id = t.id and v.version = t.version
where h.organization_id = %(organization_id)s and t.retired_at is null
order by t.name
limit %(limit)s
