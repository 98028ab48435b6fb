-- Takes tasks back whose lease has run out: ready for another worker, and counted, since a killed worker leaves no failure.
-- One that was claimed too often stays claimed, by the sweep itself under a fresh token, which then parks it as stuck.
with lost as (
  select organization_id, id from task
  where state = 'running' and lease_until < aos_now()
  order by lease_until
  limit %(tasks_max)s for update skip locked
), freed as (
  update task t set claims = t.claims + 1, ready_at = aos_now(), claimed_by = null,
    state = case when t.claims + 1 < %(claims_max)s then 'ready' else 'running' end,
    claim_token = case when t.claims + 1 < %(claims_max)s then null else gen_random_uuid() end,
    lease_until = case when t.claims + 1 < %(claims_max)s then null
                       else aos_now() + %(lease_seconds)s * interval '1 second' end
  from lost l
  where t.organization_id = l.organization_id and t.id = l.id
  returning t.*
)
select f.organization_id, f.id, f.run_id, f.name, f.label, f.kind, f.agent_id, f.parent_id, f.item_index,
  f.chain::text as chain, f.spec::text as spec, f.attempt,
  f.attempts_max, f.claims, f.generation, f.claim_token, f.upstream_failed, f.runtime_ms, f.input_content_id, f.state,
  f.started_at is not null as started, f.waits_for, f.started_at, aos_now() as now, false as has_calls,
  r.name as run_name, r.thread as run_thread, r.chain::text as run_chain, r.labels, r.clock_start, r.created_at as run_created_at, r.tasks_total,
  r.goal_content_id, r.input_content_id as run_input_content_id, f.lane, f.deadline_at,
  f.fallen_back, f.priority,
  (select pg_notify('aos_ready', '') where exists (select from freed where state = 'ready')) as bell
from freed f
join run r on r.organization_id = f.organization_id and r.id = f.run_id
