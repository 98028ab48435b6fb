-- Records the outcomes of a batch of intended acts and settles their holds. A member is written once: only while its
-- action is still intended, and inside a task only under the task's claim. Returns the members written.
with member as (
  select * from json_to_recordset(%(members)s::json) as m(
    n int, organization_id uuid, action_id uuid, state text, outcome_content_id uuid, error_code text,
    cost_nanos bigint, currency text, task_id uuid, claim_token uuid, attempt int, call_key text, tries int,
    run_id uuid, incomplete boolean, idempotency_principal uuid, idempotency_key text, status int)
), live as (
  select m.* from member m
  left join task t on t.organization_id = m.organization_id and t.id = m.task_id
  where m.task_id is null or (t.state = 'running' and t.claim_token = m.claim_token)
), concluded as (
  update action a set state = l.state, outcome_content_id = l.outcome_content_id, error_code = l.error_code,
    cost_nanos = l.cost_nanos, currency = l.currency, concluded_at = aos_now()
  from live l
  where a.organization_id = l.organization_id and a.id = l.action_id and a.state = 'intended'
    and a.id between %(first_action_id)s::uuid and %(last_action_id)s::uuid  -- the days that it may lie in, and no other
  returning l.n
), done as (
  select l.* from live l where (l.n in (select n from concluded)) is true
), numbered as (
  -- In the order of the members, which is the order in which their callers are answered.
  select n, nextval('call_seq') as seq from (select n from done where call_key is not null order by n) ordered
), called as (
  update call c set state = d.state, outcome_content_id = d.outcome_content_id, seq = o.seq
  from done d join numbered o using (n)
  where d.call_key is not null and c.organization_id = d.organization_id and c.task_id = d.task_id
    and c.key = d.call_key and c.attempt = d.attempt and c.tries = d.tries
), answered as (
  update idempotency i set status = d.status, answer_content_id = d.outcome_content_id
  from done d
  where d.idempotency_key is not null and d.status is not null and i.organization_id = d.organization_id
    and i.principal_id = d.idempotency_principal and i.key = d.idempotency_key
), freed as (
  -- Nothing was done under it: whoever asks again under the same key asks anew.
  delete from idempotency i
  using done d
  where d.idempotency_key is not null and d.status is null and i.organization_id = d.organization_id
    and i.principal_id = d.idempotency_principal and i.key = d.idempotency_key and i.action_id = d.action_id
), settled as (
  update budget_account a set held_nanos = a.held_nanos - s.held, settled_nanos = a.settled_nanos + s.settled
  from (
    select s.organization_id, s.budget_id, s.period_start, sum(s.held_nanos) as held, sum(s.settled_nanos) as settled
    from json_to_recordset(%(settlements)s::json) as s(n int, organization_id uuid, budget_id uuid, period_start date,
      held_nanos bigint, settled_nanos bigint)
    where (s.n in (select n from done)) is true
    group by 1, 2, 3
  ) s
  where a.organization_id = s.organization_id and a.budget_id = s.budget_id and a.period_start = s.period_start
), kept as (
  insert into content (organization_id, id, purpose, data_key_id, salt, sealed, erase_after)
  select c.organization_id, c.id, c.purpose, c.data_key_id, c.salt, c.sealed, c.erase_after
  from json_to_recordset(%(contents)s::json) as c(n int, organization_id uuid, id uuid, purpose text, data_key_id uuid,
    salt bytea, sealed bytea, erase_after timestamptz)
  where (c.n in (select n from done)) is true
), traced as (
  insert into origin_token (organization_id, run_id, token, origin, whole)
  select distinct d.organization_id, d.run_id, o.token, o.origin, o.whole
  from json_to_recordset(%(origins)s::json) as o(n int, token bytea, origin text, whole boolean)
  join done d using (n)
  on conflict do nothing
  returning organization_id, run_id
), seen as (
  select organization_id, run_id, count(*)::int as tokens, false as incomplete from traced group by 1, 2
  union all
  select organization_id, run_id, 0, true from done where incomplete
), counted as (
  update run r set origin_tokens = r.origin_tokens + s.tokens,
    origin_incomplete = r.origin_incomplete or s.incomplete or r.origin_tokens + s.tokens > %(origin_tokens_max)s
  from (select organization_id, run_id, sum(tokens) as tokens, bool_or(incomplete) as incomplete from seen group by 1, 2) s
  where r.organization_id = s.organization_id and r.id = s.run_id
), charged as (
  insert into usage_event (organization_id, id, kind, action_id, run_id, task_id, agent_id, agent_version,
    department_id, name, quantity, unit, cost_nanos, currency, rate_nanos, estimated, record_id)
  select u.organization_id, u.id, u.kind, u.action_id, u.run_id, u.task_id, u.agent_id, u.agent_version,
    u.department_id, u.name, u.quantity, u.unit, u.cost_nanos, u.currency, u.rate_nanos, u.estimated, u.record_id
  from json_to_recordset(%(usage)s::json) as u(n int, organization_id uuid, id uuid, kind text, action_id uuid,
    run_id uuid, task_id uuid, agent_id uuid, agent_version int, department_id uuid, name text, quantity bigint,
    unit text, cost_nanos bigint, currency text, rate_nanos bigint, estimated boolean, record_id uuid)
  where (u.n in (select n from done)) is true
), recorded as (
  select r.* from json_to_recordset(%(records)s::json) as r(n int, organization_id uuid, id uuid, kind text, run_id uuid,
    action_id uuid, bytes bytea, leaf bytea, position int)
  where (r.n in (select n from done)) is true
), written as (
  insert into record (organization_id, id, kind, run_id, action_id, bytes)
  select organization_id, id, kind, run_id, action_id, bytes from recorded
), pending as (
  insert into ledger_pending (organization_id, record_id, leaf, position)
  select organization_id, id, leaf, position from recorded
)
select n from done
