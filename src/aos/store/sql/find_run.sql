-- Whether an organization has this run, and how it stands.
select id, state from run where organization_id = %(organization_id)s and id = %(id)s
