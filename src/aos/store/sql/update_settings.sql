-- Sets what is given of an organization's settings.
update organization_settings set
  currency = coalesce(%(currency)s, currency),
  timezone = coalesce(%(timezone)s, timezone),
  environment = coalesce(%(environment)s, environment),
  rates = coalesce(%(rates)s::jsonb, rates),
  run_clock_allowed = coalesce(%(run_clock_allowed)s::boolean, run_clock_allowed),
  hosts = coalesce(%(hosts)s::text[], hosts),
  capture = coalesce(%(capture)s::jsonb, capture)
where organization_id = %(organization_id)s
