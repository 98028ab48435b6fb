-- Sets a department's cost centre.
update department set cost_center = %(cost_center)s, revision = revision + 1
where organization_id = %(organization_id)s and id = %(id)s
returning id
