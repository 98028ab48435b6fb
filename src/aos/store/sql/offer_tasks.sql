-- Offers a batch of started tasks to the agents that fetch theirs: each waits for its agent to take it, and is ready again
-- when its deadline comes or `look_again_seconds` are over, for a worker to see whether it still may be offered. Edges of an
-- earlier wait are dropped. The tasks were locked before. Returns the members written.
with member as (
  select * from json_to_recordset(%(members)s::json) as m(
    n int, organization_id uuid, task_id uuid, claim_token uuid, look_again_seconds double precision)
), offered as (
  update task t set state = 'waiting', waits_for = 'work', blockers = 0, ready_at = aos_now(), claim_token = null,
    claimed_by = null, lease_until = null,
    wake_at = least(t.deadline_at, aos_now() + m.look_again_seconds * interval '1 second')
  from member m
  where t.organization_id = m.organization_id and t.id = m.task_id and t.claim_token = m.claim_token
  returning m.n, t.organization_id, t.id, t.agent_id
), unlinked as (
  delete from edge e using offered o
  where e.organization_id = o.organization_id and e.target_id = o.id and e.kind = 'child'
)
select n, (select count(pg_notify('aos_work', a.agent_id::text)) from (select distinct agent_id from offered) a) as bells
from offered
