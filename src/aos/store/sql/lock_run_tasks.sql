-- Locks the open tasks of runs in their order, tasks before the runs as everywhere. What a running parent spawns while
-- this waits for it is seen by the next statement.
select t.organization_id, t.id, t.run_id, t.label, t.state, t.attempt, t.agent_id, t.runtime_ms, t.started_at
from task t
where t.organization_id = %(organization_id)s and t.run_id = any(%(run_ids)s::uuid[])
  and t.state not in ('succeeded', 'failed', 'skipped', 'cancelled')
order by t.organization_id, t.id for update of t
