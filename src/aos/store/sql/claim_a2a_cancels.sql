-- Takes tasks that agents elsewhere still do though ours has ended, or is at another attempt: they are told so. What is just
-- being sent has no name there yet, and is left alone for a while; while our task goes on, the next attempt sends it again.
-- Another worker leaves what is taken alone.
with due as (
  select r.organization_id, r.task_id, r.message_id
  from a2a_remote r
  left join task t on t.organization_id = r.organization_id and t.id = r.task_id
  where r.ended_at is null and r.next_at <= aos_now()
    and (r.remote_task_id is not null or r.created_at < aos_now() - %(sending_seconds)s * interval '1 second')
    and (t.id is null or t.state in ('succeeded', 'failed', 'skipped', 'cancelled')
      or (r.remote_task_id is not null and coalesce(r.attempt <> t.attempt, r.message_id <> t.id || '-' || t.attempt)))
  order by r.next_at
  limit %(limit)s
  for update of r skip locked
)
update a2a_remote r set tries = r.tries + 1, next_at = aos_now() + %(lease_seconds)s * interval '1 second'
from due d
where r.organization_id = d.organization_id and r.task_id = d.task_id and r.message_id = d.message_id
returning r.organization_id, r.task_id, r.message_id, r.agent_id, r.endpoint, r.remote_task_id, r.tries
