-- Parks a batch of tasks whose passes wait: each counts what is still open of what it waits for, and is ready again at
-- once where nothing is. An edge from what is open to the task lets its end be told. The tasks and their children were
-- locked before, and an approval is answered under its task's lock, so nothing can end between the count and the edge.
-- Returns the members written.
with member as (
  select * from json_to_recordset(%(members)s::json) as m(
    n int, organization_id uuid, task_id uuid, claim_token uuid, waits_for text, runtime_ms bigint)
), live as (
  select m.*, t.run_id from member m
  join task t on t.organization_id = m.organization_id and t.id = m.task_id
  where t.claim_token = m.claim_token
), wanted as (
  select distinct l.n, l.organization_id, l.task_id, l.run_id, w.source_id, w.kind
  from json_to_recordset(%(waits)s::json) as w(n int, source_id uuid, kind text)
  join live l on l.n = w.n
), open as (
  select w.* from wanted w
  join task s on s.organization_id = w.organization_id and s.id = w.source_id
  where w.kind = 'child' and s.state not in ('succeeded', 'failed', 'skipped', 'cancelled')
  union all
  select w.* from wanted w
  join approval a on a.organization_id = w.organization_id and a.id = w.source_id
  where w.kind = 'approval' and a.status = 'pending'
), edged as (
  insert into edge (organization_id, source_id, target_id, run_id, kind)
  select organization_id, source_id, task_id, run_id, 'child' from open
  on conflict (organization_id, source_id, target_id) do nothing
), parked as (
  update task t set state = case when o.count is null then 'ready' else 'waiting' end, blockers = coalesce(o.count, 0),
    ready_at = aos_now(), wake_at = t.deadline_at, waits_for = l.waits_for, claim_token = null, claimed_by = null, lease_until = null,
    runtime_ms = t.runtime_ms + l.runtime_ms
  from live l
  left join (select n, count(*)::int as count from open group by n) o on o.n = l.n
  where t.organization_id = l.organization_id and t.id = l.task_id
  returning l.n, t.state
)
select n, state,
  (select pg_notify('aos_ready', '') where exists (select from parked where state = 'ready')) as bell
from parked
