-- Inserts the items of one `for_each` task, each a task of its own, and parks the task until all of them have ended: under
-- its claim, and only while its run may grow by so many. Returns the run's new number of tasks where it was written.
with fan as (
  select t.organization_id, t.id, t.run_id, t.name, t.agent_id, t.chain, t.lane, t.queue, t.priority, t.attempts_max,
    t.deadline_at
  from task t
  where t.organization_id = %(organization_id)s and t.id = %(task_id)s
    and t.claim_token = %(claim_token)s
), item as (
  select * from json_to_recordset(%(items)s::json) as i(id uuid, index int, input_content_id uuid)
), grown as (
  update run r set tasks_open = r.tasks_open + %(count)s, tasks_total = r.tasks_total + %(count)s
  from fan f
  where r.organization_id = f.organization_id and r.id = f.run_id and r.state in ('running', 'paused')
    and r.tasks_total + %(count)s <= %(tasks_max)s
  returning r.organization_id, r.id, r.state, r.tasks_total
), born as (
  insert into task (organization_id, id, run_id, name, label, kind, agent_id, parent_id, item_index, chain, spec, state,
    paused, lane, queue, priority, attempt, attempts_max, deadline_at, input_content_id, ready_at)
  select f.organization_id, i.id, f.run_id, f.name, f.name || '[' || i.index || ']',
    case when %(spec)s::jsonb ? 'workflow' then 'workflow' else 'agent' end, f.agent_id, f.id, i.index, f.chain,
    %(spec)s::jsonb, 'ready', g.state = 'paused', f.lane, f.queue, f.priority, 1, f.attempts_max, f.deadline_at,
    i.input_content_id, aos_now()
  from fan f
  join grown g on g.organization_id = f.organization_id and g.id = f.run_id
  cross join item i
), edged as (
  insert into edge (organization_id, source_id, target_id, run_id, kind)
  select f.organization_id, i.id, f.id, f.run_id, 'child'
  from fan f
  join grown g on g.organization_id = f.organization_id and g.id = f.run_id
  cross join item i
), kept as (
  insert into content (organization_id, id, purpose, data_key_id, salt, sealed, erase_after)
  select c.organization_id, c.id, c.purpose, c.data_key_id, c.salt, c.sealed, c.erase_after
  from json_to_recordset(%(contents)s::json) as c(organization_id uuid, id uuid, purpose text, data_key_id uuid,
    salt bytea, sealed bytea, erase_after timestamptz)
  join grown g on g.organization_id = c.organization_id
), parked as (
  update task t set state = 'waiting', blockers = %(count)s, waits_for = 'children', claim_token = null,
    claimed_by = null, lease_until = null, wake_at = t.deadline_at
  from grown g
  where t.organization_id = %(organization_id)s and t.id = %(task_id)s
)
select tasks_total, (select pg_notify('aos_ready', '')) as bell from grown
