-- What acts of one run rest on and what never changes while it lives: its clock, its origin key, its own budgets and
-- those of the runs above it.
with recursive above as (
  select id, parent_run_id from run where organization_id = %(organization_id)s and id = %(run_id)s
  union all
  select p.id, p.parent_run_id from above a
  join run p on p.organization_id = %(organization_id)s and p.id = a.parent_run_id
)
select r.clock_start, r.created_at, r.department_id, c.organization_id, c.id, c.data_key_id, c.sealed,
  (select coalesce(jsonb_agg(jsonb_build_object('id', b.id, 'name', b.name, 'scope', b.scope, 'scope_id', b.scope_id,
      'limit', jsonb_build_object('nanos', b.limit_nanos, 'currency', b.currency), 'period', b.period)), '[]')
    from budget b where b.organization_id = r.organization_id and b.retired_at is null
      and b.scope = 'run' and b.scope_id in (select id from above)) as budgets
from run r
join content c on c.organization_id = r.organization_id and c.id = r.origin_key_content_id
where r.organization_id = %(organization_id)s and r.id = %(run_id)s
