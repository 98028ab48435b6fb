-- Forgets that tools were held, by their names.
delete from held_tool h using tool t
where h.organization_id = %(organization_id)s and t.organization_id = h.organization_id and t.id = h.tool_id
  and t.name = any(%(names)s)
returning t.name
