-- What a worker needs to know of tasks that it has claimed, before it loads any content: each under the claim named, not at
-- all where that is gone. Where none are named it is those that the completions before it in this transaction handed on.
with named as (
  select * from json_to_recordset(coalesce(%(claims)s::json, nullif(current_setting('aos.handed', true), '')::json, '[]'))
    as w(organization_id uuid, task_id uuid, claim_token uuid)
)
select c.organization_id, c.id, c.run_id, c.name, c.label, c.kind, c.agent_id, c.parent_id, c.item_index,
  c.chain::text as chain, c.spec::text as spec, c.attempt,
  c.attempts_max, c.claims, c.generation, c.claim_token, c.upstream_failed, c.runtime_ms, c.input_content_id,
  c.started_at is not null as started, c.waits_for, c.started_at, aos_now() as now,
  (c.started_at is not null or c.attempt > 1) and exists (
    select from call k where k.organization_id = c.organization_id and k.task_id = c.id) as has_calls,
  r.name as run_name, r.thread as run_thread, r.chain::text as run_chain, r.labels, r.clock_start, r.created_at as run_created_at, r.tasks_total,
  r.goal_content_id, r.input_content_id as run_input_content_id, c.lane, c.deadline_at,
  c.fallen_back, c.priority
from named n
join task c on c.organization_id = n.organization_id and c.id = n.task_id and c.claim_token = n.claim_token
cross join lateral (
  -- By itself: joined, the tasks would be looked for among those of a run.
  select * from run where organization_id = c.organization_id and id = c.run_id offset 0) r
