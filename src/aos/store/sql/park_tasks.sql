-- Parks a batch of tasks whose passes wait. Each counts how many of its sources must still end, `needs` of those given or
-- all of them, and is ready again at once where nothing is left or its time has come; `wake_at` makes it ready whatever
-- else it waits for. An edge from what is open to the task lets its end be told; those of an earlier wait are dropped.
-- The tasks, their children and their signals' names were locked before, and an approval is answered under its task's
-- lock, so nothing can end between the count and the edge. Returns the members written.
with member as (
  select * from json_to_recordset(%(members)s::json) as m(
    n int, organization_id uuid, task_id uuid, claim_token uuid, waits_for text, runtime_ms bigint,
    wake_at timestamptz, needs int)
), live as (
  select m.*, t.run_id from member m
  join task t on t.organization_id = m.organization_id and t.id = m.task_id
  where t.claim_token = m.claim_token
), wanted as (
  select distinct l.n, l.organization_id, l.task_id, l.run_id, w.source_id, w.kind, w.name
  from json_to_recordset(%(waits)s::json) as w(n int, source_id uuid, kind text, name text)
  join live l on l.n = w.n
), open as (
  select w.* from wanted w
  join task s on s.organization_id = w.organization_id and s.id = w.source_id
  where w.kind = 'child' and s.state not in ('succeeded', 'failed', 'skipped', 'cancelled')
  union all
  select w.* from wanted w
  cross join lateral (
    -- By itself: joined, all that wait for a person would be read to find these among them.
    select status from approval where organization_id = w.organization_id and id = w.source_id offset 0) a
  where w.kind = 'approval' and a.status = 'pending'
  union all
  select w.* from wanted w
  where w.kind = 'signal' and (
    select s.id from signal s where s.organization_id = w.organization_id and s.run_id = w.run_id and s.name = w.name
      and s.taken_by is null limit 1) is null
), counted as (
  select l.n, coalesce(w.count, 0) as given,
    greatest(coalesce(l.needs, w.count, 0) - (coalesce(w.count, 0) - coalesce(o.count, 0)), 0) as missing
  from live l
  left join (select n, count(*)::int as count from wanted group by n) w on w.n = l.n
  left join (select n, count(*)::int as count from open group by n) o on o.n = l.n
), edged as (
  insert into edge (organization_id, source_id, target_id, run_id, kind)
  select organization_id, source_id, task_id, run_id, 'child' from open
  on conflict (organization_id, source_id, target_id) do nothing
), unlinked as (
  delete from edge e using live l
  where e.organization_id = l.organization_id and e.target_id = l.task_id and e.kind = 'child'
    and not exists (select from open o where o.n = l.n and o.source_id = e.source_id)
), parked as (
  update task t set ready_at = aos_now(), waits_for = l.waits_for, claim_token = null, claimed_by = null,
    lease_until = null, runtime_ms = t.runtime_ms + l.runtime_ms, wake_at = least(l.wake_at, t.deadline_at),
    blockers = c.missing,
    state = case when least(l.wake_at, t.deadline_at) <= aos_now() then 'ready' when c.missing > 0 then 'waiting'
                 when c.given = 0 and l.wake_at is not null then 'waiting' else 'ready' end
  from live l
  join counted c on c.n = l.n
  where t.organization_id = l.organization_id and t.id = l.task_id
  returning l.n, t.state
)
select n, state,
  (select pg_notify('aos_ready', '') where exists (select from parked where state = 'ready')) as bell
from parked
