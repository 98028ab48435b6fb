-- Records the delegations of a batch of claimed tasks that were allowed, each with its effect: the task has started. A
-- member is written only under its claim, its organization's epoch and, where it needed one, its approval. The tasks were
-- locked before. Returns the members written.
with member as (
  select * from json_to_recordset(%(members)s::json) as m(
    n int, organization_id uuid, epoch bigint, task_id uuid, claim_token uuid, run_id uuid, attempt int, action_id uuid,
    name text, outcome text, rules jsonb, agent_id uuid, agent_version int, department_id uuid, chain jsonb,
    approval_id uuid, call_key text, digest bytea, arguments_content_id uuid, input_content_id uuid,
    clock timestamptz, total_timeout_seconds double precision)
), live as (
  -- Each is looked up by itself: as joins they would share the organization, and be scanned by it.
  select m.* from member m
  where (select o.epoch from organization o where o.id = m.organization_id) = m.epoch
    and (select t.claim_token from task t where t.organization_id = m.organization_id and t.id = m.task_id)
      = m.claim_token
    and (m.approval_id is null or (
      select a.status = 'approved' and a.digest = m.digest and a.expires_at > aos_now() from approval a
      where a.organization_id = m.organization_id and a.id = m.approval_id))
), started as (
  update task t set started_at = aos_now(), waits_for = null,
    deadline_at = coalesce(t.deadline_at, aos_now() + l.total_timeout_seconds * interval '1 second'),
    input_content_id = coalesce(l.input_content_id, t.input_content_id)
  from live l
  where t.organization_id = l.organization_id and t.id = l.task_id
), acted as (
  insert into action as a (organization_id, id, kind, name, state, outcome, rules, agent_id, agent_version,
    department_id, chain, run_id, task_id, attempt, call_key, approval_id, digest, arguments_content_id, clock,
    intended_at, concluded_at)
  select organization_id, action_id, 'delegate', name, 'performed', outcome, rules, agent_id, agent_version,
    department_id, chain, run_id, task_id, attempt, call_key, approval_id, digest, arguments_content_id, clock,
    aos_now(), aos_now()
  from live where action_id is not null
  on conflict (organization_id, id) do update set
    state = excluded.state, outcome = excluded.outcome, rules = excluded.rules, attempt = excluded.attempt,
    approval_id = excluded.approval_id, clock = excluded.clock, concluded_at = excluded.concluded_at
    where a.state = 'waiting'
), called as (
  update call c set state = 'performed', seq = nextval('call_seq')
  from live l
  where l.call_key is not null and c.organization_id = l.organization_id and c.task_id = l.task_id
    and c.key = l.call_key and c.attempt = l.attempt and c.state = 'waiting'
), used as (
  update approval a set status = 'used', used_by_action_id = l.action_id
  from live l
  where l.approval_id is not null and a.organization_id = l.organization_id and a.id = l.approval_id
), kept as (
  insert into content (organization_id, id, purpose, data_key_id, salt, sealed, erase_after)
  select c.organization_id, c.id, c.purpose, c.data_key_id, c.salt, c.sealed, c.erase_after
  from json_to_recordset(%(contents)s::json) as c(n int, organization_id uuid, id uuid, purpose text, data_key_id uuid,
    salt bytea, sealed bytea, erase_after timestamptz)
  where (c.n in (select n from live)) is true
), recorded as (
  select r.* from json_to_recordset(%(records)s::json) as r(n int, organization_id uuid, id uuid, kind text, run_id uuid,
    action_id uuid, bytes bytea, leaf bytea, position int)
  where (r.n in (select n from live)) is true
), written as (
  insert into record (organization_id, id, kind, run_id, action_id, bytes)
  select organization_id, id, kind, run_id, action_id, bytes from recorded
), pending as (
  insert into ledger_pending (organization_id, record_id, leaf, position)
  select organization_id, id, leaf, position from recorded
)
select n from live
