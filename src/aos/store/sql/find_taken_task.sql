-- The task that an agent took, while its claim stands: as `take_tasks` returned it, `now` being when that was.
select c.organization_id, c.id, c.run_id, c.name, c.label, c.kind, c.agent_id, c.parent_id, c.item_index,
  c.chain::text as chain, c.spec::text as spec, c.attempt,
  c.attempts_max, c.claims, c.generation, c.claim_token, c.upstream_failed, c.runtime_ms, c.input_content_id,
  true as started, c.waits_for, c.started_at, c.ready_at as now,
  exists (select from call k where k.organization_id = c.organization_id and k.task_id = c.id) as has_calls,
  r.name as run_name, r.thread as run_thread, r.chain::text as run_chain, r.labels, r.clock_start, r.created_at as run_created_at, r.tasks_total,
  r.goal_content_id, r.input_content_id as run_input_content_id, c.lane, c.deadline_at,
  c.fallen_back, c.priority
from task c
cross join lateral (
  -- By itself: joined, the tasks would be looked for among those of a run.
  select * from run where organization_id = c.organization_id and id = c.run_id offset 0) r
where c.organization_id = %(organization_id)s and c.id = %(task_id)s and c.claim_token = %(claim_token)s
  and c.state = 'running'
