-- Records a batch of decided acts: intents with their holds, escalations with their approvals, refusals. A member is
-- written only if nothing it was decided on has changed: the organization's epoch, the task's claim, the approval, the
-- idempotency key, the task's call, which is one act's alone while it is under way and once it is concluded. An act that
-- asks again in spite of an approval puts a new one in its place. Returns the members written; the others are loaded and
-- decided again. Rows were locked before.
with member as (
  select * from json_to_recordset(%(members)s::json) as m(
    n int, organization_id uuid, epoch bigint, action_id uuid, kind text, name text, effect text, state text,
    outcome text, rules jsonb, agent_id uuid, agent_version int, department_id uuid, chain jsonb, run_id uuid,
    task_id uuid, claim_token uuid, attempt int, call_key text, tries int, approval_id uuid, tool_id uuid,
    tool_version int, digest bytea, arguments_content_id uuid, decision_content_id uuid,
    outcome_content_id uuid, error_code text, holds jsonb,
    clock timestamptz, deadline_seconds double precision, idempotency_principal uuid, idempotency_key text,
    limited boolean, price_nanos bigint, price_currency text)
), live as (
  select m.* from member m
  join organization o on o.id = m.organization_id and o.epoch = m.epoch
  left join task t on t.organization_id = m.organization_id and t.id = m.task_id
  left join approval a on a.organization_id = m.organization_id and a.id = m.approval_id
  where (m.task_id is null or (t.state = 'running' and t.claim_token = m.claim_token))
    and (m.approval_id is null
         or (a.status = 'approved' and a.digest = m.digest and a.expires_at > aos_now()))
), keyed as (
  insert into idempotency as i (organization_id, principal_id, key, request_digest, action_id, status, answer_content_id)
  select organization_id, idempotency_principal, idempotency_key, digest, action_id,
         case state when 'waiting' then 202 when 'refused' then case error_code when 'budget-spent' then 402 else 403 end end,
         outcome_content_id
  from live where idempotency_key is not null
  on conflict (organization_id, principal_id, key) do update
    set action_id = excluded.action_id, status = excluded.status, answer_content_id = excluded.answer_content_id
    where i.request_digest = excluded.request_digest and (i.status = 202 or exists (
      select from action a
      where a.organization_id = i.organization_id and a.id = i.action_id and a.state = 'unknown'))
  returning organization_id, principal_id, key
), called as (
  insert into call as c (organization_id, task_id, key, attempt, tries, kind, name, effect, action_id, state,
    outcome_content_id, seq)
  select organization_id, task_id, call_key, attempt, tries, kind, name, effect, action_id, state, outcome_content_id,
         case state when 'refused' then nextval('call_seq') end
  from (select * from live where call_key is not null order by n) ordered
  on conflict (organization_id, task_id, key, attempt, tries) do update
    set action_id = excluded.action_id, state = excluded.state, seq = excluded.seq,
      outcome_content_id = excluded.outcome_content_id
    where c.state in ('waiting', 'unknown')
  returning organization_id, task_id, key, attempt, tries
), granted as (
  select l.* from live l
  where (l.idempotency_key is null or (l.organization_id, l.idempotency_principal, l.idempotency_key) in (
      select organization_id, principal_id, key from keyed))
    and (l.call_key is null or (l.organization_id, l.task_id, l.call_key, l.attempt, l.tries) in (
      select organization_id, task_id, key, attempt, tries from called))
), acted as (
  insert into action as a (organization_id, id, kind, name, effect, state, outcome, rules, agent_id, agent_version,
    department_id, chain, run_id, task_id, attempt, call_key, approval_id, tool_id, tool_version, digest,
    arguments_content_id, decision_content_id, outcome_content_id, error_code, holds, clock, deadline, intended_at,
    concluded_at, limited, price_nanos, price_currency)
  select organization_id, action_id, kind, name, effect, state, outcome, rules, agent_id, agent_version,
    department_id, chain, run_id, task_id, attempt, call_key, case state when 'waiting' then null else approval_id end,
    tool_id, tool_version, digest, arguments_content_id, decision_content_id, outcome_content_id, error_code,
    coalesce(holds, '[]'), clock,
    aos_now() + deadline_seconds * interval '1 second', aos_now(), case state when 'refused' then aos_now() end,
    limited, price_nanos, price_currency
  from granted
  on conflict (organization_id, id) do update set
    name = excluded.name, state = excluded.state, outcome = excluded.outcome, rules = excluded.rules, holds = excluded.holds,
    attempt = excluded.attempt, approval_id = excluded.approval_id, error_code = excluded.error_code,
    decision_content_id = excluded.decision_content_id, outcome_content_id = excluded.outcome_content_id, clock = excluded.clock, deadline = excluded.deadline,
    intended_at = excluded.intended_at, concluded_at = excluded.concluded_at,
    limited = excluded.limited, price_nanos = excluded.price_nanos, price_currency = excluded.price_currency
    where a.state = 'waiting'
), used as (
  update approval a set status = 'used', used_by_action_id = g.action_id
  from granted g
  where g.approval_id is not null and g.state = 'intended'
    and a.organization_id = g.organization_id and a.id = g.approval_id
), superseded as (
  update approval a set status = 'expired'
  from granted g
  where g.approval_id is not null and g.state = 'waiting'
    and a.organization_id = g.organization_id and a.id = g.approval_id
), asked as (
  insert into approval (organization_id, id, action_id, act_kind, act_name, digest, agent_id, chain, run_id, task_id,
    call_key, idempotency_key, rules, approver_role, roles_left, quorum, status, shown_content_id, expires_at)
  select p.organization_id, p.id, g.action_id, g.kind, g.name, g.digest, g.agent_id, g.chain, g.run_id, g.task_id,
    g.call_key, g.idempotency_key, p.rules, p.approver_role, p.roles_left, p.quorum, 'pending', p.shown_content_id,
    aos_now() + p.expires_seconds * interval '1 second'
  from json_to_recordset(%(approvals)s::json) as p(n int, organization_id uuid, id uuid, rules jsonb,
    approver_role text, roles_left text[], quorum int, shown_content_id uuid, expires_seconds double precision)
  join granted g on g.n = p.n
), held as (
  update budget_account a set held_nanos = a.held_nanos + h.nanos
  from (
    select h.organization_id, h.budget_id, h.period_start, sum(h.nanos) as nanos
    from json_to_recordset(%(holds)s::json) as h(n int, organization_id uuid, budget_id uuid, period_start date,
      nanos bigint)
    where (h.n in (select n from granted)) is true
    group by 1, 2, 3
  ) h
  where a.organization_id = h.organization_id and a.budget_id = h.budget_id and a.period_start = h.period_start
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
select n from granted
