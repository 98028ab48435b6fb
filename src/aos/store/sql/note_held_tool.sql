-- Notes that calls of a tool are held at the version in force, and why; the first such moment stays.
insert into held_tool (organization_id, tool_id, version, why)
select t.organization_id, t.id, t.version, %(why)s from tool t
where t.organization_id = %(organization_id)s and t.name = %(name)s
on conflict (organization_id, tool_id) do update set why = excluded.why, version = excluded.version,
  first_at = case when held_tool.version = excluded.version then held_tool.first_at else excluded.first_at end
where (held_tool.version, held_tool.why) <> (excluded.version, excluded.why)
