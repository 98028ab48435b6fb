-- How the agents, departments, runs and workflows of these ids are called.
select id::text as id, name from agent where organization_id = %(organization_id)s and id = any(%(ids)s::uuid[])
union all
select id::text, name from department where organization_id = %(organization_id)s and id = any(%(ids)s::uuid[])
union all
select id::text, name from run where organization_id = %(organization_id)s and id = any(%(ids)s::uuid[])
union all
select id::text, name from workflow where organization_id = %(organization_id)s and id = any(%(ids)s::uuid[])
