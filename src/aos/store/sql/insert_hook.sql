-- Files a hook; no row where the name is taken.
insert into hook (organization_id, id, name, does, target_kind, target, mapping, accepts, secret_id, owner_id, enabled)
values (%(organization_id)s, %(id)s, %(name)s, %(does)s, %(target_kind)s, %(target)s, %(mapping)s::jsonb, %(accepts)s::jsonb,
  %(secret_id)s, %(owner_id)s, %(enabled)s)
on conflict (organization_id, name) where retired_at is null do nothing
returning id
