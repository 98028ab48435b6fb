-- Gives runs another priority, and their open tasks with them but for those whose workflow gives them one of their own.
-- The tasks were locked before. Returns the runs that are still open.
-- Of very many runs, records are matched by a hash: `is true` keeps that from being a join, here a nested loop.
with changed as (
  update run r set priority = %(priority)s
  where r.organization_id = %(organization_id)s and r.id = any(%(run_ids)s::uuid[]) and r.state in ('running', 'paused')
  returning r.organization_id, r.id
), moved as (
  update task t set priority = %(priority)s
  from changed c
  where t.organization_id = c.organization_id and t.run_id = c.id
    and t.state not in ('succeeded', 'failed', 'skipped', 'cancelled') and t.priority <> %(priority)s
    and not t.spec ? 'priority'
), recorded as (
  select r.* from json_to_recordset(%(records)s::json) as r(organization_id uuid, id uuid, kind text, run_id uuid,
    action_id uuid, bytes bytea, leaf bytea, position int)
  where (r.run_id in (select id from changed)) is true
), written as (
  insert into record (organization_id, id, kind, run_id, action_id, bytes)
  select organization_id, id, kind, run_id, action_id, bytes from recorded
), pending as (
  insert into ledger_pending (organization_id, record_id, leaf, position)
  select organization_id, id, leaf, position from recorded
)
select id, (select pg_notify('aos_ready', '')) as bell, (select pg_notify('aos_run', changed.id::text)) as run_bell
from changed
