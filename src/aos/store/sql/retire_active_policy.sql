-- Ends the version of a policy that is active, if there is one.
update policy_version set state = 'retired'
where organization_id = %(organization_id)s and policy_id = %(id)s and state = 'active'
returning version
