-- Says why a schedule's time is not acted on yet, and for which time a person was asked.
update schedule set last_error = %(error)s, asked_at = %(asked_at)s
where organization_id = %(organization_id)s and id = %(id)s and next_at = %(due_at)s
  and (last_error is distinct from %(error)s or asked_at is distinct from %(asked_at)s)
returning id
