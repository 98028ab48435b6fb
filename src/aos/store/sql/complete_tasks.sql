-- Ends a batch of attempts: each under its claim and no other (a task has a claim token only while it is running; to ask
-- for the state as well would let the planner take the index of running tasks for a lookup by key). A task that ends for
-- good releases what waits for it, and its run counts down by one. One that is attempted again is ready at once, or waits
-- until then with nothing to wait for but the time; one that is stuck waits for a person. Both stay open: their edges
-- stand. A blocked task whose join has enough is ready whatever else it waited for; one whose join can no longer have
-- enough is ready to be left out. The tasks were locked before, so the edges read here are all there are.
-- Up to `hand_on_max` of those that become ready are handed on to the worker that wrote this, claimed at once: nobody is
-- called for them, and no second transaction claims them. What a limit may hold back is never handed on, since only a
-- claim counts. Returns the members written, with how many tasks their runs have open, and the tasks handed on (`n` is
-- null), with their claims. What follows in the same transaction finds these claims in `aos.handed`, and the runs whose last
-- task has ended in `aos.ending`.
with member as (
  select * from json_to_recordset(%(members)s::json) as m(
    n int, organization_id uuid, task_id uuid, claim_token uuid, state text, output_content_id uuid, error_code text,
    error_content_id uuid, runtime_ms bigint, retry_seconds double precision, tolerated boolean, fallback_agent_id uuid,
    fallback_lane uuid, attempts_more int)
), ended as (
  update task t set output_content_id = m.output_content_id, error_code = m.error_code,
    error_content_id = m.error_content_id, claim_token = null, claimed_by = null, lease_until = null,
    state = case when m.state = 'ready' and m.retry_seconds > 0 then 'waiting' else m.state end,
    waits_for = case when m.state = 'ready' and m.retry_seconds > 0 then 'retry' end,
    wake_at = case when m.state = 'ready' and m.retry_seconds > 0
                   then least(aos_now() + m.retry_seconds * interval '1 second', t.deadline_at) end,
    runtime_ms = case when m.state in ('ready', 'stuck') then 0 else t.runtime_ms + m.runtime_ms end,
    attempt = case m.state when 'ready' then t.attempt + 1 else t.attempt end,
    blockers = case m.state when 'ready' then 0 else t.blockers end,
    started_at = case m.state when 'ready' then null else t.started_at end,
    ready_at = case m.state when 'ready' then aos_now() else t.ready_at end,
    finished_at = case when m.state in ('ready', 'stuck') then null else aos_now() end,
    agent_id = coalesce(m.fallback_agent_id, t.agent_id), lane = coalesce(m.fallback_lane, t.lane),
    fallen_back = t.fallen_back or m.fallback_agent_id is not null,
    attempts_max = t.attempts_max + coalesce(m.attempts_more, 0)
  from member m
  where t.organization_id = m.organization_id and t.id = m.task_id
    and t.claim_token = m.claim_token
  returning m.n, t.organization_id, t.id, t.run_id, t.state, t.paused, coalesce(m.tolerated, false) as tolerated
), gone as (
  select * from ended where state in ('succeeded', 'failed', 'skipped')
), unlinked as (
  -- A new attempt waits for what it will have asked for itself.
  delete from edge e using ended a
  where e.organization_id = a.organization_id and e.target_id = a.id and e.kind = 'child'
    and a.state in ('ready', 'waiting')
), released as (
  select e.organization_id, e.target_id, e.kind, count(*)::int as count,
    (count(*) filter (where g.state = 'succeeded'))::int as successes,
    bool_or(g.state <> 'succeeded' and not g.tolerated) as failed
  from gone g join edge e on e.organization_id = g.organization_id and e.source_id = g.id
  group by 1, 2, 3
), locked as (
  select t.organization_id, t.id, r.kind, r.count, r.successes, r.failed, t.agent_id, t.queue, t.lane, t.priority, t.paused,
    (t.blockers between 1 and r.count or t.needs <= r.successes or t.needs - r.successes > t.blockers - r.count) is true as ripe
  from released r join task t on t.organization_id = r.organization_id and t.id = r.target_id
  where (t.state = 'blocked' and r.kind = 'after')
    or (t.state = 'waiting' and r.kind = 'child')
  order by t.organization_id, t.id for update of t
), open as (
  -- Whether a task may be handed on: it is ready now, and there is no limit that a claim would hold it against.
  select l.*, l.ripe and not l.paused and substr(l.lane::text, 15, 1) <> '5' and not exists (
    select from concurrency_limit c
    left join agent a on c.kind = 'agent' and a.organization_id = c.organization_id and a.name = c.name
    where c.organization_id = l.organization_id
      and case c.kind when 'queue' then c.name = l.queue when 'agent' then a.id = l.agent_id end) as free
  from locked l
), placed as materialized (
  select o.organization_id, o.id, o.kind, o.count, o.successes, o.failed, o.ripe, case
    when o.free and row_number() over (order by o.free desc, o.priority desc, o.id) <= %(hand_on_max)s::int
    then gen_random_uuid() end as token
  from open o
), woken as (
  update task t set blockers = greatest(t.blockers - l.count, 0),
    upstream_failed = t.upstream_failed or (l.kind = 'after' and case when t.needs is null then l.failed
      else t.needs - l.successes > t.blockers - l.count end),
    needs = case when t.needs > l.successes then t.needs - l.successes end,
    state = case when l.token is not null then 'running' when l.ripe then 'ready' else t.state end,
    ready_at = case when l.ripe then aos_now() else t.ready_at end,
    claim_token = l.token, claimed_by = case when l.token is not null then %(worker_id)s::uuid end,
    lease_until = case when l.token is not null then aos_now() + %(lease_seconds)s * interval '1 second' end
  from placed l
  where t.organization_id = l.organization_id and t.id = l.id
  returning t.organization_id, t.state, t.paused
), counted as (
  update run r set tasks_open = r.tasks_open - g.count
  from (select organization_id, run_id, count(*)::int as count from gone group by 1, 2) g
  where r.organization_id = g.organization_id and r.id = g.run_id
  returning r.organization_id, r.id, r.tasks_open
), kept as (
  insert into content (organization_id, id, purpose, data_key_id, salt, sealed, erase_after)
  select c.organization_id, c.id, c.purpose, c.data_key_id, c.salt, c.sealed, c.erase_after
  from json_to_recordset(%(contents)s::json) as c(n int, organization_id uuid, id uuid, purpose text, data_key_id uuid,
    salt bytea, sealed bytea, erase_after timestamptz)
  where (c.n in (select n from ended)) is true
), charged as (
  insert into usage_event (organization_id, id, kind, action_id, run_id, task_id, agent_id, agent_version,
    department_id, name, quantity, unit, cost_nanos, currency, rate_nanos, estimated, record_id)
  select u.organization_id, u.id, u.kind, u.action_id, u.run_id, u.task_id, u.agent_id, u.agent_version,
    u.department_id, u.name, u.quantity, u.unit, u.cost_nanos, u.currency, u.rate_nanos, u.estimated, u.record_id
  from json_to_recordset(%(usage)s::json) as u(n int, organization_id uuid, id uuid, kind text, action_id uuid,
    run_id uuid, task_id uuid, agent_id uuid, agent_version int, department_id uuid, name text, quantity bigint,
    unit text, cost_nanos bigint, currency text, rate_nanos bigint, estimated boolean, record_id uuid)
  where (u.n in (select n from ended)) is true
), recorded as (
  select r.* from json_to_recordset(%(records)s::json) as r(n int, organization_id uuid, id uuid, kind text, run_id uuid,
    action_id uuid, bytes bytea, leaf bytea, position int)
  where (r.n in (select n from ended)) is true
), written as (
  insert into record (organization_id, id, kind, run_id, action_id, bytes)
  select organization_id, id, kind, run_id, action_id, bytes from recorded
), pending as (
  insert into ledger_pending (organization_id, record_id, leaf, position)
  select organization_id, id, leaf, position from recorded
)
select e.n, e.organization_id, e.run_id, c.tasks_open, null::uuid as task_id, null::uuid as claim_token,
  (select count(pg_notify('aos_ready', organization_id::text)) from (
    select organization_id from woken where state = 'ready' and not paused union
    select organization_id from ended where state = 'ready' and not paused) w) as bell,
  (select set_config('aos.handed', json_agg(json_build_object(
    'organization_id', p.organization_id, 'task_id', p.id, 'claim_token', p.token))::text, true)
   from placed p where p.token is not null) as handed,
  (select set_config('aos.ending', json_agg(json_build_object('organization_id', organization_id, 'id', id))::text, true)
   from counted where tasks_open = 0) as ending
from ended e
left join counted c on c.organization_id = e.organization_id and c.id = e.run_id
union all
select null, p.organization_id, null, null, p.id, p.token, null, null, null
from placed p where p.token is not null
