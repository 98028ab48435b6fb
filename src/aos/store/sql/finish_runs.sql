-- Ends a batch of runs, each once: only while all its tasks have ended. A task of another run that waits for such a run is
-- told, and its run learns where the values came from that it is now given. Those tasks were locked before. Returns the
-- members written.
with member as (
  select * from json_to_recordset(%(members)s::json) as m(
    n int, organization_id uuid, run_id uuid, state text, error_code text, output_content_id uuid)
  limit json_array_length(%(members)s::json)  -- all of them, which the planner takes for few
), ended as (
  update run r set state = m.state, error_code = m.error_code, output_content_id = m.output_content_id,
    finished_at = aos_now()
  from member m
  -- By key alone: were the state asked for plainly, all open runs would be read to find these among them.
  where r.organization_id = m.organization_id and r.id = m.run_id and coalesce(r.state in ('running', 'paused'), false)
    and r.tasks_open = 0
  returning m.n, r.organization_id, r.id, r.parent_run_id, r.origin_incomplete
), released as (
  select e.organization_id, e.target_id, count(*)::int as count
  from ended d join edge e on e.organization_id = d.organization_id and e.source_id = d.id
  where d.parent_run_id is not null
  group by 1, 2
), locked as (
  select t.organization_id, t.id, r.count
  from released r join task t on t.organization_id = r.organization_id and t.id = r.target_id
  where t.state = 'waiting'
  order by t.organization_id, t.id for update of t
), woken as (
  update task t set blockers = greatest(t.blockers - l.count, 0),
    state = case when t.blockers between 1 and l.count then 'ready' else t.state end,
    ready_at = case when t.blockers between 1 and l.count then aos_now() else t.ready_at end
  from locked l
  where t.organization_id = l.organization_id and t.id = l.id
  returning t.organization_id, t.state, t.paused
), traced as (
  insert into origin_token (organization_id, run_id, token, origin, whole)
  select distinct d.organization_id, d.parent_run_id, o.token, o.origin, o.whole
  from ended d join origin_token o on o.organization_id = d.organization_id and o.run_id = d.id
  where d.parent_run_id is not null
  on conflict do nothing
  returning organization_id, run_id
), learned as (
  update run r set origin_tokens = r.origin_tokens + d.tokens,
    origin_incomplete = r.origin_incomplete or d.incomplete or r.origin_tokens + d.tokens > %(origin_tokens_max)s
  from (
    select d.organization_id, d.parent_run_id, bool_or(d.origin_incomplete) as incomplete,
      (select count(*)::int from traced t where t.organization_id = d.organization_id and t.run_id = d.parent_run_id)
        as tokens
    from ended d where d.parent_run_id is not null group by 1, 2) d
  where r.organization_id = d.organization_id and r.id = d.parent_run_id and (d.incomplete or d.tokens > 0)
), kept as (
  insert into content (organization_id, id, purpose, data_key_id, salt, sealed, erase_after)
  select c.organization_id, c.id, c.purpose, c.data_key_id, c.salt, c.sealed, c.erase_after
  from json_to_recordset(%(contents)s::json) as c(n int, organization_id uuid, id uuid, purpose text, data_key_id uuid,
    salt bytea, sealed bytea, erase_after timestamptz)
  where (c.n in (select n from ended)) is true
), charged as (
  insert into usage_event (organization_id, id, kind, action_id, run_id, task_id, agent_id, agent_version,
    department_id, name, quantity, unit, cost_nanos, currency, rate_nanos, estimated, record_id)
  select u.organization_id, u.id, u.kind, u.action_id, u.run_id, u.task_id, u.agent_id, u.agent_version,
    u.department_id, u.name, u.quantity, u.unit, u.cost_nanos, u.currency, u.rate_nanos, u.estimated, u.record_id
  from json_to_recordset(%(usage)s::json) as u(n int, organization_id uuid, id uuid, kind text, action_id uuid,
    run_id uuid, task_id uuid, agent_id uuid, agent_version int, department_id uuid, name text, quantity bigint,
    unit text, cost_nanos bigint, currency text, rate_nanos bigint, estimated boolean, record_id uuid)
  where (u.n in (select n from ended)) is true
), recorded as (
  select r.* from json_to_recordset(%(records)s::json) as r(n int, organization_id uuid, id uuid, kind text, run_id uuid,
    action_id uuid, bytes bytea, leaf bytea, position int)
  where (r.n in (select n from ended)) is true
), written as (
  insert into record (organization_id, id, kind, run_id, action_id, bytes)
  select organization_id, id, kind, run_id, action_id, bytes from recorded
), pending as (
  insert into ledger_pending (organization_id, record_id, leaf, position)
  select organization_id, id, leaf, position from recorded
)
select n, id, (select pg_notify('aos_run', ended.id::text)) as bell,
  (select count(pg_notify('aos_ready', organization_id::text)) from (
    select distinct organization_id from woken where state = 'ready' and not paused) w) as ready_bell
from ended
