-- Whether a failed run is to be undone by itself, since a task of it that failed says so, and that was not refused; and what
-- stands in the way of it.
select exists (
  select from task t
  where t.organization_id = %(organization_id)s and t.run_id = %(run_id)s and t.parent_id is null and t.state = 'failed'
    and t.spec ->> 'on_failure' = 'compensate'
) and not exists (
  select from run r
  join idempotency i on i.organization_id = r.organization_id and i.principal_id = (r.chain -> -1 ->> 'id')::uuid
  where r.organization_id = %(organization_id)s and r.id = %(run_id)s
    and i.key = 'undo:' || r.id and i.status in (402, 403)
) as due,
  (select undo_error from run where organization_id = %(organization_id)s and id = %(run_id)s) as undo_error
