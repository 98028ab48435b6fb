-- Writes what came of a notification: told, to be told again, or given up.
update a2a_push p set
  state = case when p.state <> 'active' then p.state else %(state)s end,
  sent_phase = coalesce(%(sent_phase)s, p.sent_phase),
  tries = case when %(sent_phase)s::text is null then p.tries else 0 end,
  next_at = aos_now() + %(delay_seconds)s * interval '1 second'
where p.organization_id = %(organization_id)s and p.task_id = %(task_id)s and p.id = %(id)s
returning p.state
