-- Starts a batch of runs, each with the decided act and its record, its tasks and edges, its contents, its budget and what its
-- input tells of origins, all or nothing. Nothing of a run is written where its organization's epoch, the approval or the
-- idempotency key is no longer as it was decided on: then no row is returned for it. Each brings its rows in its own document,
-- so that none is looked for among those of others. A run that a task of another run starts is written under that
-- task's claim, and the task waits for it from then on; it knows values by its parent's key, and where they came from. It is
-- not started where its outermost run has `nested_max` open ones within it. What one that goes on from another knows of
-- origins is as complete as it is there now, whatever was read of that one before.
with asked as (
  select * from json_to_recordset(%(runs)s::json) as m(
    organization_id uuid, epoch bigint, id uuid, workflow_id uuid, workflow_version int, agent_id uuid, name text,
    department_id uuid, chain jsonb, goal_content_id uuid, input_content_id uuid, labels jsonb, thread text,
    clock_start timestamptz, origin_key_content_id uuid, origin_incomplete boolean, tasks_total int, action_id uuid,
    act_name text, outcome text, rules jsonb, act_agent_id uuid, act_agent_version int, act_chain jsonb, parent_run_id uuid,
    parent_task_id uuid, parent_claim_token uuid, parent_attempt int, call_key text, total_timeout_seconds double precision,
    priority smallint, approval_id uuid, digest bytea, outcome_content_id uuid, clock timestamptz,
    idempotency_principal uuid, idempotency_key text, schedule_id uuid, undoes_id uuid, forked_from_id uuid,
    forked_task text, origins_from_id uuid, tasks_open int, root_run_id uuid, nested_max int,
    tasks json, edges json, records json, contents json, origins json, budgets json)
), live as (
  select m.* from asked m
  join organization o on o.id = m.organization_id and o.epoch = m.epoch
  left join approval a on a.organization_id = m.organization_id and a.id = m.approval_id
  where (m.approval_id is null or (a.status = 'approved' and a.digest = m.digest and a.expires_at > aos_now()))
    and (m.parent_task_id is null or (
      select t.claim_token from task t where t.organization_id = m.organization_id and t.id = m.parent_task_id)
        = m.parent_claim_token)
), keyed as (
  insert into idempotency as i (organization_id, principal_id, key, request_digest, action_id, status, answer_content_id)
  select organization_id, idempotency_principal, idempotency_key, digest, action_id, 201, outcome_content_id
  from live where idempotency_key is not null
  on conflict (organization_id, principal_id, key) do update
    set action_id = excluded.action_id, status = excluded.status, answer_content_id = excluded.answer_content_id
    where i.request_digest = excluded.request_digest and i.status = 202
  returning i.organization_id, i.principal_id, i.key
), roomy as (
  select l.id from live l
  where l.root_run_id is null or (
    select count(*) from (
      select from run r
      where r.organization_id = l.organization_id and r.root_run_id = l.root_run_id and r.state in ('running', 'paused')
      limit l.nested_max) n) < l.nested_max
), granted as (
  select l.* from live l
  where (l.idempotency_key is null or (l.organization_id, l.idempotency_principal, l.idempotency_key) in (
      select organization_id, principal_id, key from keyed))
    and l.id in (select id from roomy)
), started as (
  insert into run (organization_id, id, workflow_id, workflow_version, agent_id, name, department_id, state, chain,
    goal_content_id, input_content_id, labels, thread, clock_start, origin_key_content_id, origin_tokens,
    origin_incomplete, tasks_open, tasks_total, priority, parent_run_id, parent_task_id, schedule_id, undoes_id,
    forked_from_id, forked_task, root_run_id)
  select g.organization_id, g.id, g.workflow_id, g.workflow_version, g.agent_id, g.name, g.department_id, 'running',
    g.chain, coalesce(g.goal_content_id, p.goal_content_id), g.input_content_id, coalesce(g.labels, '{}'), g.thread,
    g.clock_start, coalesce(p.origin_key_content_id, g.origin_key_content_id),
    json_array_length(g.origins) + coalesce(p.origin_tokens, s.origin_tokens, 0),
    g.origin_incomplete or coalesce(p.origin_incomplete, s.origin_incomplete or s.archived_at is not null, false),
    coalesce(g.tasks_open, g.tasks_total), g.tasks_total,
    coalesce(g.priority, 0), g.parent_run_id, g.parent_task_id, g.schedule_id, g.undoes_id, g.forked_from_id,
    g.forked_task, g.root_run_id
  from granted g
  left join run p on p.organization_id = g.organization_id and p.id = g.parent_run_id
  left join run s on s.organization_id = g.organization_id and s.id = g.origins_from_id
), acted as (
  insert into action as a (organization_id, id, kind, name, state, outcome, rules, agent_id, agent_version,
    department_id, chain, run_id, task_id, attempt, call_key, approval_id, digest, arguments_content_id,
    outcome_content_id, clock, intended_at, concluded_at)
  select organization_id, action_id, 'run', act_name, 'performed', outcome, rules, act_agent_id, act_agent_version,
    department_id, act_chain, coalesce(parent_run_id, id), parent_task_id, parent_attempt, call_key, approval_id, digest,
    input_content_id, outcome_content_id, clock, aos_now(), aos_now()
  from granted
  on conflict (organization_id, id) do update set
    state = excluded.state, outcome = excluded.outcome, rules = excluded.rules, run_id = excluded.run_id,
    approval_id = excluded.approval_id, outcome_content_id = excluded.outcome_content_id, clock = excluded.clock,
    concluded_at = excluded.concluded_at
    where a.state = 'waiting'
), used as (
  update approval a set status = 'used', used_by_action_id = g.action_id
  from granted g
  where g.approval_id is not null and a.organization_id = g.organization_id and a.id = g.approval_id
), called as (
  update call c set state = 'performed', outcome_content_id = g.outcome_content_id, seq = nextval('call_seq')
  from granted g
  where g.approval_id is not null and c.organization_id = g.organization_id and c.task_id = g.parent_task_id
    and c.key = g.call_key and c.attempt = g.parent_attempt and c.state = 'waiting'
), planned as (
  insert into task (organization_id, id, run_id, name, label, kind, agent_id, chain, spec, state, blockers, needs, lane,
    queue, priority, attempt, attempts_max, ready_at, output_content_id, finished_at)
  select g.organization_id, t.id, g.id, t.name, t.name, t.kind, t.agent_id, g.chain, t.spec,
    case when t.kept then 'succeeded' when t.blockers = 0 then 'ready' else 'blocked' end, t.blockers, t.needs,
    coalesce(t.lane, '00000000-0000-0000-0000-000000000000'), coalesce(t.queue, 'default'),
    coalesce(t.priority, g.priority, 0), 1, t.attempts_max, aos_now(), t.output_content_id,
    case when t.kept then aos_now() end
  from granted g
  cross join json_to_recordset(g.tasks) as t(id uuid, name text, kind text, agent_id uuid, spec jsonb, blockers int,
    needs int, lane uuid, queue text, priority smallint, attempts_max int, kept boolean, output_content_id uuid)
), linked as (
  insert into edge (organization_id, source_id, target_id, run_id, kind)
  select g.organization_id, e.source_id, e.target_id, g.id, 'after'
  from granted g
  cross join json_to_recordset(g.edges) as e(source_id uuid, target_id uuid)
), parked as (
  update task t set state = 'waiting', blockers = 1, waits_for = 'run', claim_token = null, claimed_by = null,
    lease_until = null, started_at = aos_now(),
    deadline_at = coalesce(t.deadline_at, aos_now() + g.total_timeout_seconds * interval '1 second'),
    wake_at = coalesce(t.deadline_at, aos_now() + g.total_timeout_seconds * interval '1 second')
  from granted g
  where t.organization_id = g.organization_id and t.id = g.parent_task_id
), awaited as (
  insert into edge (organization_id, source_id, target_id, run_id, kind)
  select organization_id, id, parent_task_id, parent_run_id, 'child' from granted where parent_task_id is not null
), limited as (
  insert into budget (organization_id, id, name, scope, scope_id, currency, limit_nanos, period)
  select g.organization_id, b.id, 'run ' || g.id, 'run', g.id, b.currency, b.limit_nanos, 'total'
  from granted g
  cross join json_to_recordset(g.budgets) as b(id uuid, currency text, limit_nanos bigint)
), traced as (
  insert into origin_token (organization_id, run_id, token, origin, whole)
  select distinct g.organization_id, g.id, o.token, o.origin, o.whole
  from granted g
  cross join json_to_recordset(g.origins) as o(token bytea, origin text, whole boolean)
  where g.parent_run_id is null
  union
  select o.organization_id, g.id, o.token, o.origin, o.whole
  from granted g
  join origin_token o on o.organization_id = g.organization_id
    and o.run_id = coalesce(g.parent_run_id, g.origins_from_id)
), kept as (
  insert into content (organization_id, id, purpose, data_key_id, salt, sealed, erase_after)
  select c.organization_id, c.id, c.purpose, c.data_key_id, c.salt, c.sealed, c.erase_after
  from granted g
  cross join json_to_recordset(g.contents) as c(organization_id uuid, id uuid, purpose text, data_key_id uuid,
    salt bytea, sealed bytea, erase_after timestamptz)
), recorded as (
  select r.*
  from granted g
  cross join json_to_recordset(g.records) as r(organization_id uuid, id uuid, kind text, run_id uuid, action_id uuid,
    bytes bytea, leaf bytea, position int)
), written as (
  insert into record (organization_id, id, kind, run_id, action_id, bytes)
  select organization_id, id, kind, run_id, action_id, bytes from recorded
), pending as (
  insert into ledger_pending (organization_id, record_id, leaf, position)
  select organization_id, id, leaf, position from recorded
)
select id, aos_now() as now, (select pg_notify('aos_ready', granted.organization_id::text)) as bell,
  (select pg_notify('aos_run', granted.id::text)) as run_bell
from granted
