-- Notes a run that a person started by hand. No row where another run began meanwhile.
update schedule set last_run_id = %(run_id)s, last_at = aos_now(), last_error = null
where organization_id = %(organization_id)s and id = %(id)s and retired_at is null
  and last_run_id is not distinct from %(seen_run_id)s::uuid
returning id
