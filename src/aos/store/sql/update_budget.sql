-- Changes a budget's limit and warnings; a retired one comes back. What was spent stays counted.
update budget set scope = %(scope)s, scope_id = %(scope_id)s, currency = %(currency)s, limit_nanos = %(limit_nanos)s,
  period = %(period)s, warn_at = %(warn_at)s::int[], on_limit = %(on_limit)s, revision = revision + 1, retired_at = null
where organization_id = %(organization_id)s and id = %(id)s
returning revision
