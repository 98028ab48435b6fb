-- Makes a version of a policy the active one; the one before was ended first.
update policy_version set state = 'active', activated_at = aos_now()
where organization_id = %(organization_id)s and policy_id = %(id)s and version = %(version)s
returning version
