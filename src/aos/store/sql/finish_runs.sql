-- Ends a batch of runs, each once: only while all its tasks have ended. Returns the members written.
with member as (
  select * from json_to_recordset(%(members)s::json) as m(
    n int, organization_id uuid, run_id uuid, state text, error_code text, output_content_id uuid)
), ended as (
  update run r set state = m.state, error_code = m.error_code, output_content_id = m.output_content_id,
    finished_at = aos_now()
  from member m
  where r.organization_id = m.organization_id and r.id = m.run_id and r.state in ('running', 'paused')
    and r.tasks_open = 0
  returning m.n, r.organization_id, r.id
), kept as (
  insert into content (organization_id, id, purpose, data_key_id, salt, sealed, erase_after)
  select c.organization_id, c.id, c.purpose, c.data_key_id, c.salt, c.sealed, c.erase_after
  from json_to_recordset(%(contents)s::json) as c(n int, organization_id uuid, id uuid, purpose text, data_key_id uuid,
    salt bytea, sealed bytea, erase_after timestamptz)
  join ended e on e.n = c.n
), charged as (
  insert into usage_event (organization_id, id, kind, action_id, run_id, task_id, agent_id, agent_version,
    department_id, name, quantity, unit, cost_nanos, currency, rate_nanos, estimated, record_id)
  select u.organization_id, u.id, u.kind, u.action_id, u.run_id, u.task_id, u.agent_id, u.agent_version,
    u.department_id, u.name, u.quantity, u.unit, u.cost_nanos, u.currency, u.rate_nanos, u.estimated, u.record_id
  from json_to_recordset(%(usage)s::json) as u(n int, organization_id uuid, id uuid, kind text, action_id uuid,
    run_id uuid, task_id uuid, agent_id uuid, agent_version int, department_id uuid, name text, quantity bigint,
    unit text, cost_nanos bigint, currency text, rate_nanos bigint, estimated boolean, record_id uuid)
  join ended e on e.n = u.n
), recorded as (
  select r.* from json_to_recordset(%(records)s::json) as r(n int, organization_id uuid, id uuid, kind text, run_id uuid,
    action_id uuid, bytes bytea, leaf bytea, position int)
  join ended e on e.n = r.n
), written as (
  insert into record (organization_id, id, kind, run_id, action_id, bytes)
  select organization_id, id, kind, run_id, action_id, bytes from recorded
), pending as (
  insert into ledger_pending (organization_id, record_id, leaf, position)
  select organization_id, id, leaf, position from recorded
)
select n, id, (select pg_notify('aos_run', ended.id::text)) as bell from ended
