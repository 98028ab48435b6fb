-- Notes that nothing is left to be told to the far side of a task, or when to try again.
update a2a_remote r set
  ended_at = case when %(delay_seconds)s::float is null then aos_now() end,
  next_at = aos_now() + coalesce(%(delay_seconds)s::float, 0) * interval '1 second'
where r.organization_id = %(organization_id)s and r.task_id = %(task_id)s and r.message_id = %(message_id)s
returning r.task_id
