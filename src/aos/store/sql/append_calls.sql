-- Records what a batch of calls came to that no gate decides: steps, reports, the values of spawned children. Each under
-- its task's claim, once for a key, attempt and try. Returns the members written with their places.
with member as (
  select * from json_to_recordset(%(members)s::json) as m(
    n int, organization_id uuid, task_id uuid, claim_token uuid, key text, attempt int, tries int, kind text, name text,
    state text, outcome_content_id uuid, run_id uuid, agent_id uuid, report_id uuid, report_kind text,
    report_content_id uuid)
), live as (
  select m.* from member m
  join task t on t.organization_id = m.organization_id and t.id = m.task_id
  where t.claim_token = m.claim_token
), called as (
  insert into call (organization_id, task_id, key, attempt, tries, kind, name, state, outcome_content_id, seq)
  select organization_id, task_id, key, attempt, tries, kind, name, state, outcome_content_id, nextval('call_seq')
  from live
  on conflict (organization_id, task_id, key, attempt, tries) do nothing
  returning organization_id, task_id, key, tries, seq
), done as (
  select l.*, c.seq from live l
  join called c on c.organization_id = l.organization_id and c.task_id = l.task_id and c.key = l.key and c.tries = l.tries
), told as (
  insert into report (organization_id, id, run_id, task_id, agent_id, kind, content_id)
  select organization_id, report_id, run_id, task_id, agent_id, report_kind, report_content_id
  from done where report_id is not null
), kept as (
  insert into content (organization_id, id, purpose, data_key_id, salt, sealed, erase_after)
  select c.organization_id, c.id, c.purpose, c.data_key_id, c.salt, c.sealed, c.erase_after
  from json_to_recordset(%(contents)s::json) as c(n int, organization_id uuid, id uuid, purpose text, data_key_id uuid,
    salt bytea, sealed bytea, erase_after timestamptz)
  where (c.n in (select n from done)) is true
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
select n, seq from done
