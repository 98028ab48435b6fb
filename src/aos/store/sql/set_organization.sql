-- Names the organization whose rows this transaction sees; forgotten when it ends.
select set_config('aos.organization', %(organization_id)s::text, true)
