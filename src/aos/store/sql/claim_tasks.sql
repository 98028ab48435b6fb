-- Takes up to `tasks_max` ready tasks for one worker: a lease and a fresh random claim token each. A task that another
-- transaction holds is passed over. Returns what the worker needs to know before it loads any content.
with picked as (
  select organization_id, id from task
  where state = 'ready' and not paused and ready_at <= aos_now()
  order by priority desc, ready_at, id
  limit %(tasks_max)s for update skip locked
), claimed as (
  update task t set state = 'running', claim_token = gen_random_uuid(), claimed_by = %(worker_id)s,
    lease_until = aos_now() + %(lease_seconds)s * interval '1 second'
  from picked p
  where t.organization_id = p.organization_id and t.id = p.id
  returning t.*
)
select c.organization_id, c.id, c.run_id, c.name, c.label, c.kind, c.agent_id, c.parent_id, c.item_index, c.chain, c.spec, c.attempt,
  c.attempts_max, c.claims, c.claim_token, c.upstream_failed, c.runtime_ms, c.input_content_id,
  c.started_at is not null as started, c.waits_for, c.started_at, aos_now() as now,
  (c.started_at is not null or c.attempt > 1) and exists (
    select from call k where k.organization_id = c.organization_id and k.task_id = c.id) as has_calls,
  r.name as run_name, r.chain as run_chain, r.labels, r.clock_start, r.created_at as run_created_at, r.tasks_total,
  r.goal_content_id, r.input_content_id as run_input_content_id
from claimed c
join run r on r.organization_id = c.organization_id and r.id = c.run_id
