-- Renews the leases of the claims that a worker holds and returns those that it still holds, each with whether its run is
-- paused; the others are gone.
with held as (
  select t.organization_id, t.id
  from task t
  join json_to_recordset(%(claims)s::json) as c(organization_id uuid, task_id uuid, claim_token uuid)
    on t.organization_id = c.organization_id and t.id = c.task_id and t.claim_token = c.claim_token
  order by t.organization_id, t.id for update of t
)
update task t set lease_until = aos_now() + %(lease_seconds)s * interval '1 second'
from held h
where t.organization_id = h.organization_id and t.id = h.id
returning t.organization_id, t.id as task_id, t.claim_token, t.paused
