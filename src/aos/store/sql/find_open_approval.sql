-- The newest approval that a principal's act of this digest waits for, may use or was denied, outside a run
-- or by a door in the same task, and not yet expired.
select p.id
from approval p
where p.organization_id = %(organization_id)s and p.digest = %(digest)s
  and (p.agent_id = %(agent_id)s or (p.agent_id is null and %(agent_id)s::uuid is null))
  and (p.run_id is null or (p.task_id = %(task_id)s and p.call_key is null)) and (p.chain -> -1 ->> 'id')::uuid = %(principal_id)s
  and p.idempotency_key is null and p.status in ('pending', 'approved', 'denied') and p.expires_at > aos_now()
order by p.id desc
limit 1
