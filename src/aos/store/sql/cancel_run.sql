-- Cancels runs with all their open tasks, and what waited for a person in them. Claims are gone with this statement: a
-- worker that still runs a task can write nothing. A task of another run that waited for one of them is told of its end.
-- The tasks were locked before.
-- Returns the runs that it cancelled. Of very many runs, records are matched by a hash: `is true` keeps that from being a join,
-- here a nested loop.
with cancelled as (
  update run r set state = 'cancelled', error_code = 'cancelled', tasks_open = 0, finished_at = aos_now()
  where r.organization_id = %(organization_id)s and r.id = any(%(run_ids)s::uuid[])
    and r.state in ('running', 'paused')
  returning r.organization_id, r.id
), ended as (
  update task t set state = 'cancelled', claim_token = null, claimed_by = null, lease_until = null, waits_for = null,
    wake_at = null, error_code = 'cancelled', finished_at = aos_now()
  from cancelled c
  where t.organization_id = c.organization_id and t.run_id = c.id
    and t.state not in ('succeeded', 'failed', 'skipped', 'cancelled')
  returning t.organization_id, t.id
), released as (
  select e.organization_id, e.target_id, count(*)::int as count
  from cancelled c join edge e on e.organization_id = c.organization_id and e.source_id = c.id
  where e.kind = 'child'
  group by 1, 2
), woken as (
  update task t set blockers = greatest(t.blockers - r.count, 0),
    state = case when t.blockers <= r.count then 'ready' else t.state end,
    ready_at = case when t.blockers <= r.count then aos_now() else t.ready_at end
  from released r
  where t.organization_id = r.organization_id and t.id = r.target_id and t.state = 'waiting'
    and (t.run_id in (select id from cancelled)) is not true
  returning t.state
), withdrawn as (
  update approval a set status = 'expired'
  from ended e
  where a.organization_id = e.organization_id and a.task_id = e.id and a.status in ('pending', 'approved')
  returning a.organization_id, a.action_id
), refused as (
  update action a set state = 'refused', error_code = 'cancelled', concluded_at = aos_now()
  from withdrawn w
  where a.organization_id = w.organization_id and a.id = w.action_id and a.state = 'waiting'
), charged as (
  insert into usage_event (organization_id, id, kind, action_id, run_id, task_id, agent_id, agent_version,
    department_id, name, quantity, unit, cost_nanos, currency, rate_nanos, estimated, record_id)
  select u.organization_id, u.id, u.kind, u.action_id, u.run_id, u.task_id, u.agent_id, u.agent_version,
    u.department_id, u.name, u.quantity, u.unit, u.cost_nanos, u.currency, u.rate_nanos, u.estimated, u.record_id
  from json_to_recordset(%(usage)s::json) as u(organization_id uuid, id uuid, kind text, action_id uuid,
    run_id uuid, task_id uuid, agent_id uuid, agent_version int, department_id uuid, name text, quantity bigint,
    unit text, cost_nanos bigint, currency text, rate_nanos bigint, estimated boolean, record_id uuid)
  where (u.run_id in (select id from cancelled)) is true
), recorded as (
  select r.* from json_to_recordset(%(records)s::json) as r(organization_id uuid, id uuid, kind text, run_id uuid,
    action_id uuid, bytes bytea, leaf bytea, position int)
  where (r.run_id in (select id from cancelled)) is true
), written as (
  insert into record (organization_id, id, kind, run_id, action_id, bytes)
  select organization_id, id, kind, run_id, action_id, bytes from recorded
), pending as (
  insert into ledger_pending (organization_id, record_id, leaf, position)
  select organization_id, id, leaf, position from recorded
)
select id, (select count(*) from withdrawn) as approvals, (select pg_notify('aos_run', cancelled.id::text)) as bell,
  (select pg_notify('aos_stop', cancelled.id::text)) as stop_bell,
  (select pg_notify('aos_ready', '') where exists (select from woken where state = 'ready')) as ready_bell
from cancelled
