-- Retires a hook: it takes nothing any more, its name is free, its secret is emptied. No row where it is retired.
with retired as (
  update hook set retired_at = aos_now(), updated_at = aos_now(), enabled = false
  where organization_id = %(organization_id)s and id = %(id)s and retired_at is null
  returning id, secret_id
), emptied as (
  update secret s set sealed = '', updated_at = aos_now()
  from retired r
  where s.organization_id = %(organization_id)s and s.id = r.secret_id
)
select id from retired
