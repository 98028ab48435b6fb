-- Retires a budget; no row where it is retired.
update budget set retired_at = aos_now(), revision = revision + 1
where organization_id = %(organization_id)s and id = %(id)s and retired_at is null
returning id
