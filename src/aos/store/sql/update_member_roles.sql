-- Sets a member's roles.
update member set roles = %(roles)s::text[]
where organization_id = %(organization_id)s and person_id = %(person_id)s
returning id
