-- Takes offered tasks for the agents that ask for theirs: a lease and a fresh random claim token each, as `claim_named_tasks`
-- gives them, within the same limits; `lock_named_limits` ran before it in the same transaction. An agent is named once.
-- Of a task that its agent took, `ready_at` is when it took it.
with wanted as materialized (
  select * from json_to_recordset(%(wants)s::json) as w(organization_id uuid, agent_id uuid, tasks_max int)
), busy as materialized (
  -- Read only where there is a limit to hold it against; the tasks under way are few, whatever the size of the table.
  select organization_id, agent_id, queue, count(*) as tasks from task where state = 'running' group by 1, 2, 3
), room as materialized (
  -- What each limit leaves; one that came after the locks leaves nothing.
  select c.organization_id, a.id as agent_id, case c.kind when 'queue' then c.name end as queue,
    case when c.id = any(string_to_array(nullif(current_setting('aos.limits', true), ''), ',')::uuid[]) then c.at_most - (
      select coalesce(sum(b.tasks), 0) from busy b
      where b.organization_id = c.organization_id
        and case c.kind when 'agent' then b.agent_id = a.id else b.queue = c.name end) else 0 end as room
  from concurrency_limit c
  left join agent a on c.kind = 'agent' and a.organization_id = c.organization_id and a.name = c.name
  where c.kind in ('agent', 'queue') and c.organization_id in (select organization_id from wanted)
), picked as materialized (
  select p.* from wanted w cross join lateral (
    select t.organization_id, t.id, t.agent_id, t.queue, t.priority, t.ready_at from task t
    where t.organization_id = w.organization_id and t.agent_id = w.agent_id
      and t.state = 'waiting' and t.waits_for = 'work' and not t.paused
    order by t.priority desc, t.ready_at, t.id
    limit w.tasks_max for update of t skip locked) p
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
), taken as (
  update task t set state = 'running', waits_for = null, wake_at = null, ready_at = aos_now(),
    claim_token = gen_random_uuid(), claimed_by = %(worker_id)s,
    lease_until = aos_now() + %(lease_seconds)s * interval '1 second'
  from granted g
  where t.organization_id = g.organization_id and t.id = g.id
  returning t.*
)
select c.organization_id, c.id, c.run_id, c.name, c.label, c.kind, c.agent_id, c.parent_id, c.item_index,
  c.chain::text as chain, c.spec::text as spec, c.attempt,
  c.attempts_max, c.claims, c.generation, c.claim_token, c.upstream_failed, c.runtime_ms, c.input_content_id,
  true as started, c.waits_for, c.started_at, aos_now() as now,
  (select k.task_id from call k where k.organization_id = c.organization_id and k.task_id = c.id limit 1) is not null
    as has_calls,
  r.name as run_name, r.thread as run_thread, r.chain::text as run_chain, r.labels, r.clock_start, r.created_at as run_created_at, r.tasks_total,
  r.goal_content_id, r.input_content_id as run_input_content_id, c.lane, c.deadline_at,
  c.fallen_back, c.priority
from taken c
join run r on r.organization_id = c.organization_id and r.id = c.run_id
