-- One version of a policy.
select spec from policy_version
where organization_id = %(organization_id)s and policy_id = %(id)s and version = %(version)s
