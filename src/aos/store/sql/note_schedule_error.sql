-- Says why a schedule's time is not acted on yet.
update schedule set last_error = %(error)s
where organization_id = %(organization_id)s and id = %(id)s and next_at = %(due_at)s
  and last_error is distinct from %(error)s
returning id
