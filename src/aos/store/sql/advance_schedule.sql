-- Moves a schedule on from the time that was acted on. No row where another did, or the schedule was changed meanwhile.
update schedule set next_at = %(then_at)s, asked_at = null, last_at = coalesce(%(fired_at)s, last_at),
  last_run_id = coalesce(%(run_id)s, last_run_id), last_error = %(error)s, enabled = enabled and %(stays)s
where organization_id = %(organization_id)s and id = %(id)s and enabled and retired_at is null
  and next_at = %(due_at)s and last_run_id is not distinct from %(seen_run_id)s::uuid
returning id
