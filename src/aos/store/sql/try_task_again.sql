-- Makes one task ready now that waits to be attempted again, or that was given up on; its claims are counted anew. Returns
-- it where it was such a task.
with tried as (
  update task t set state = 'ready', claims = 0, waits_for = null, wake_at = null, blockers = 0, ready_at = aos_now()
  where t.organization_id = %(organization_id)s and t.id = %(task_id)s
    and (t.state = 'stuck' or (t.state = 'waiting' and t.waits_for = 'retry'))
  returning t.organization_id, t.id, t.run_id
), recorded as (
  select r.* from json_to_recordset(%(records)s::json) as r(organization_id uuid, id uuid, kind text, run_id uuid,
    action_id uuid, bytes bytea, leaf bytea, position int)
  join tried t on t.organization_id = r.organization_id
), written as (
  insert into record (organization_id, id, kind, run_id, action_id, bytes)
  select organization_id, id, kind, run_id, action_id, bytes from recorded
), pending as (
  insert into ledger_pending (organization_id, record_id, leaf, position)
  select organization_id, id, leaf, position from recorded
)
select id, (select pg_notify('aos_ready', '')) as bell, (select pg_notify('aos_run', tried.run_id::text)) as run_bell
from tried
