-- Spawns a batch of tasks: the delegation, its record, the call, the child and its run's count in one statement, so that
-- none is ever without the others. A member is written under its parent's claim, its organization's epoch and, where it
-- needed one, its approval; once only for a call; and only while its run may grow. The parents were locked before.
with member as (
  select * from json_to_recordset(%(members)s::json) as m(
    n int, organization_id uuid, epoch bigint, task_id uuid, claim_token uuid, run_id uuid, attempt int, call_key text,
    tries int, action_id uuid, name text, outcome text, rules jsonb, agent_id uuid, agent_version int, department_id uuid,
    chain jsonb, approval_id uuid, digest bytea, arguments_content_id uuid, outcome_content_id uuid, clock timestamptz,
    child_id uuid, child_name text, child_label text, child_agent_id uuid, child_chain jsonb, child_spec jsonb,
    child_input_content_id uuid, child_lane uuid, child_queue text, child_after json, child_budget_id uuid,
    child_budget_nanos bigint, child_budget_currency text)
), live as (
  -- Each is looked up by itself: as joins they would share the organization, and be scanned by it.
  select m.* from member m
  where (select o.epoch from organization o where o.id = m.organization_id) = m.epoch
    and (select t.claim_token from task t where t.organization_id = m.organization_id and t.id = m.task_id)
      = m.claim_token
    and (m.approval_id is null or (
      select a.status = 'approved' and a.digest = m.digest and a.expires_at > aos_now() from approval a
      where a.organization_id = m.organization_id and a.id = m.approval_id))
    and (select s.id from task s where s.organization_id = m.organization_id and s.parent_id = m.task_id
      and s.spawn_key = m.call_key) is null
), grown as (
  update run r set tasks_open = r.tasks_open + l.count, tasks_total = r.tasks_total + l.count
  from (select organization_id, run_id, count(*)::int as count from live group by 1, 2) l
  where r.organization_id = l.organization_id and r.id = l.run_id and r.state in ('running', 'paused')
    and r.tasks_total + l.count <= %(tasks_max)s
  returning r.organization_id, r.id, r.state, r.priority
), granted as (
  select l.*, g.state as run_state, g.priority as run_priority from live l
  join grown g on g.organization_id = l.organization_id and g.id = l.run_id
), awaited as (
  select g.n, g.organization_id, g.run_id, g.child_id, s.id as source_id,
    s.state not in ('succeeded', 'failed', 'skipped', 'cancelled') as open,
    s.state in ('failed', 'cancelled') or (s.state = 'skipped' and s.error_code is distinct from 'condition') as failed
  from granted g
  cross join lateral json_array_elements_text(g.child_after) a(id)
  cross join lateral (
    select * from task where organization_id = g.organization_id and id = a.id::uuid offset 0) s
), linked as (
  insert into edge (organization_id, source_id, target_id, run_id, kind)
  select organization_id, source_id, child_id, run_id, 'after' from awaited
  on conflict (organization_id, source_id, target_id) do nothing
), born as (
  insert into task (organization_id, id, run_id, name, label, kind, agent_id, parent_id, spawn_key, chain, spec, state,
    blockers, upstream_failed, paused, priority, lane, queue, attempt, attempts_max, input_content_id, ready_at)
  select g.organization_id, g.child_id, g.run_id, g.child_name, g.child_label, 'agent', g.child_agent_id, g.task_id,
    g.call_key, g.child_chain, g.child_spec, case when a.open > 0 then 'blocked' else 'ready' end, coalesce(a.open, 0),
    coalesce(a.failed, false), g.run_state = 'paused', g.run_priority, g.child_lane, coalesce(g.child_queue, 'default'),
    1, 1, g.child_input_content_id, aos_now()
  from granted g
  left join (select n, count(distinct source_id) filter (where open)::int as open, bool_or(failed) as failed
             from awaited group by n) a on a.n = g.n
), limited as (
  insert into budget (organization_id, id, name, scope, scope_id, currency, limit_nanos, period)
  select organization_id, child_budget_id, 'task ' || child_id, 'task', child_id, child_budget_currency,
    child_budget_nanos, 'total'
  from granted where child_budget_id is not null
), acted as (
  insert into action as a (organization_id, id, kind, name, state, outcome, rules, agent_id, agent_version,
    department_id, chain, run_id, task_id, attempt, call_key, approval_id, digest, arguments_content_id,
    outcome_content_id, clock, intended_at, concluded_at)
  select organization_id, action_id, 'delegate', name, 'performed', outcome, rules, agent_id, agent_version,
    department_id, chain, run_id, task_id, attempt, call_key, approval_id, digest, arguments_content_id,
    outcome_content_id, clock, aos_now(), aos_now()
  from granted
  on conflict (organization_id, id) do update set
    state = excluded.state, outcome = excluded.outcome, rules = excluded.rules, attempt = excluded.attempt,
    approval_id = excluded.approval_id, outcome_content_id = excluded.outcome_content_id, clock = excluded.clock,
    concluded_at = excluded.concluded_at
    where a.state = 'waiting'
), called as (
  insert into call as c (organization_id, task_id, key, attempt, tries, kind, name, action_id, state,
    outcome_content_id, seq)
  select organization_id, task_id, call_key, attempt, tries, 'spawn', name, action_id, 'performed', outcome_content_id,
    nextval('call_seq')
  from granted
  on conflict (organization_id, task_id, key, attempt, tries) do update
    set action_id = excluded.action_id, state = excluded.state, outcome_content_id = excluded.outcome_content_id,
      seq = excluded.seq
    where c.state in ('waiting', 'unknown')
  returning organization_id, task_id, key, seq
), used as (
  update approval a set status = 'used', used_by_action_id = g.action_id
  from granted g
  where g.approval_id is not null and a.organization_id = g.organization_id and a.id = g.approval_id
), kept as (
  insert into content (organization_id, id, purpose, data_key_id, salt, sealed, erase_after)
  select c.organization_id, c.id, c.purpose, c.data_key_id, c.salt, c.sealed, c.erase_after
  from json_to_recordset(%(contents)s::json) as c(n int, organization_id uuid, id uuid, purpose text, data_key_id uuid,
    salt bytea, sealed bytea, erase_after timestamptz)
  where (c.n in (select n from granted)) is true
), recorded as (
  select r.* from json_to_recordset(%(records)s::json) as r(n int, organization_id uuid, id uuid, kind text, run_id uuid,
    action_id uuid, bytes bytea, leaf bytea, position int)
  where (r.n in (select n from granted)) is true
), written as (
  insert into record (organization_id, id, kind, run_id, action_id, bytes)
  select organization_id, id, kind, run_id, action_id, bytes from recorded
), pending as (
  insert into ledger_pending (organization_id, record_id, leaf, position)
  select organization_id, id, leaf, position from recorded
)
select g.n, c.seq, (select pg_notify('aos_ready', g.organization_id::text)) as bell
from granted g
join called c on c.organization_id = g.organization_id and c.task_id = g.task_id and c.key = g.call_key
