-- Takes up to `tasks_max` ready tasks for one worker: a lease and a fresh random claim token each. Organizations take
-- turns, and lanes inside each: every one is given an equal share of the batch, whatever stands ready in the others. A task
-- that another transaction holds is passed over, and so is one whose agent or queue has as many under way as its limit
-- allows: `lock_limits` ran before it in the same transaction, so that two workers never count the same room. A lane that a
-- limit has to itself (an id of version 5) holds tasks of the same limits: it is passed over as a whole, by its first task.
-- Returns what the worker needs to know before it loads any content; a full batch calls the others to what may be left.
with recursive turn as (
  -- One step down the index for each lane that has something ready.
  (select t.organization_id, t.lane, t.agent_id, t.queue from task t
   where t.state = 'ready' and not t.paused
     and (t.organization_id, t.lane) > (%(after_organization_id)s::uuid, %(after_lane)s::uuid)
     and t.organization_id <= %(until_organization_id)s::uuid
   order by t.organization_id, t.lane limit 1)
  union all
  select n.organization_id, n.lane, n.agent_id, n.queue
  from turn l cross join lateral (
    select t.organization_id, t.lane, t.agent_id, t.queue from task t
    where t.state = 'ready' and not t.paused and (t.organization_id, t.lane) > (l.organization_id, l.lane)
      and t.organization_id <= %(until_organization_id)s::uuid
    order by t.organization_id, t.lane limit 1) n
), busy as materialized (
  -- Read only where there is a limit to hold it against; the tasks under way are few, whatever the size of the table.
  select organization_id, agent_id, queue, count(*) as tasks from task where state = 'running' group by 1, 2, 3
), room as materialized (
  -- What each limit leaves; one that was not locked for this claim leaves nothing, since another claim is counting it.
  select c.organization_id, a.id as agent_id, case c.kind when 'queue' then c.name end as queue,
    case when c.id = any(string_to_array(nullif(current_setting('aos.limits', true), ''), ',')::uuid[]) then c.at_most - (
      select coalesce(sum(b.tasks), 0) from busy b
      where b.organization_id = c.organization_id
        and case c.kind when 'agent' then b.agent_id = a.id else b.queue = c.name end) else 0 end as room
  from concurrency_limit c
  left join agent a on c.kind = 'agent' and a.organization_id = c.organization_id and a.name = c.name
  where c.kind in ('agent', 'queue')
), lanes as materialized (
  select l.organization_id, l.lane from turn l
  where case when substr(l.lane::text, 15, 1) = '5' then not exists (
    select from room r
    where r.organization_id = l.organization_id and r.room <= 0 and (r.agent_id = l.agent_id or r.queue = l.queue))
    else true end
  limit least(%(lanes_max)s::int, %(tasks_max)s::int)
), shares as (
  select organization_id, lane, greatest(1,
    %(tasks_max)s::int / (select count(distinct organization_id) from lanes)
      / count(*) over (partition by organization_id)) as share
  from lanes
), picked as materialized (
  select p.* from shares s cross join lateral (
    select t.organization_id, t.id, t.agent_id, t.queue, t.priority, t.ready_at from task t
    where t.state = 'ready' and not t.paused and t.organization_id = s.organization_id and t.lane = s.lane
      and t.ready_at <= aos_now()
      and not exists (
        select from room r
        where r.organization_id = t.organization_id and r.room <= 0 and (r.agent_id = t.agent_id or r.queue = t.queue))
    order by t.priority desc, t.ready_at, t.id
    limit s.share for update of t skip locked) p
), placed as (
  select p.organization_id, p.id,
    row_number() over (partition by p.organization_id, p.agent_id order by p.priority desc, p.ready_at, p.id) as of_agent,
    row_number() over (partition by p.organization_id, p.queue order by p.priority desc, p.ready_at, p.id) as of_queue,
    a.room as agent_room, q.room as queue_room
  from picked p
  left join room a on a.organization_id = p.organization_id and a.agent_id = p.agent_id
  left join room q on q.organization_id = p.organization_id and q.queue = p.queue
), granted as (
  select organization_id, id from placed
  where (agent_room is null or of_agent <= agent_room) and (queue_room is null or of_queue <= queue_room)
), claimed as (
  update task t set state = 'running', claim_token = gen_random_uuid(), claimed_by = %(worker_id)s,
    lease_until = aos_now() + %(lease_seconds)s * interval '1 second'
  from granted g
  where t.organization_id = g.organization_id and t.id = g.id
  returning t.*
)
select c.organization_id, c.id, c.run_id, c.name, c.label, c.kind, c.agent_id, c.parent_id, c.item_index,
  c.chain::text as chain, c.spec::text as spec, c.attempt,
  c.attempts_max, c.claims, c.generation, c.claim_token, c.upstream_failed, c.runtime_ms, c.input_content_id,
  c.started_at is not null as started, c.waits_for, c.started_at, aos_now() as now,
  (c.started_at is not null or c.attempt > 1) and exists (
    select from call k where k.organization_id = c.organization_id and k.task_id = c.id) as has_calls,
  r.name as run_name, r.thread as run_thread, r.chain::text as run_chain, r.labels, r.clock_start, r.created_at as run_created_at, r.tasks_total,
  r.goal_content_id, r.input_content_id as run_input_content_id, c.lane, c.deadline_at,
  c.fallen_back, c.priority,
  (select pg_notify('aos_ready', 'more') where (select count(*) from claimed) >= %(tasks_max)s::int) as bell
from claimed c
join run r on r.organization_id = c.organization_id and r.id = c.run_id
