-- The id behind a budget's scope; null where there is none of that name.
select case %(scope)s
  when 'organization' then %(organization_id)s::uuid
  when 'department' then (select id from department where organization_id = %(organization_id)s and name = %(name)s)
  when 'agent' then (select id from agent where organization_id = %(organization_id)s and name = %(name)s) end as id
