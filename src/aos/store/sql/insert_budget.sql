-- Sets up a budget; no row where the name is or was taken.
insert into budget (organization_id, id, name, scope, scope_id, currency, limit_nanos, period, warn_at, on_limit)
values (%(organization_id)s, %(id)s, %(name)s, %(scope)s, %(scope_id)s, %(currency)s, %(limit_nanos)s, %(period)s,
  %(warn_at)s::int[], %(on_limit)s)
on conflict (organization_id, name) do nothing
returning id
