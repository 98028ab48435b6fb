-- How many members hold the role admin.
select count(*) as admins from member where organization_id = %(organization_id)s and 'admin' = any(roles)
