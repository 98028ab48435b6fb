-- What a look costs: notifications are looked at less often while nothing changes, pages of A2A tasks and refusals of a task
-- are read by key.
alter table a2a_push add column quiet integer not null default 0;  -- looks in a row at which nothing had changed
create index a2a_task_sender on a2a_task (organization_id, principal_id, agent_id, id);
create index approval_waits on approval (organization_id, task_id) where status = 'pending' and task_id is not null;
create index action_refused on action (organization_id, task_id) where state = 'refused' and task_id is not null;

-- Each task with the phase that it is in now; `aos.kernel.a2a` says what a phase is to a client. Rows are seen by who asks.
-- Approvals are found by their tasks, not among all that wait.
create or replace view a2a_task_now with (security_invoker = true) as
select t.*, r.state as run_state, r.error_code, r.output_content_id, w.approval_id as asked_id,
  case
    when t.ended is not null then t.ended
    when t.run_id is null then
      case a.status when 'pending' then 'start-waits' when 'approved' then 'start-approved' else 'refused' end
    when r.state <> 'running' then r.state
    when w.busy then case when w.begun then 'working' else 'submitted' end
    when w.approval_id is not null then 'waits-for-person'
    when w.signalled then 'waits-for-message'
    else 'working'
  end as phase,
  greatest(t.updated_at, coalesce(r.finished_at, w.changed_at)) as changed_at
from a2a_task t
left join run r on r.organization_id = t.organization_id and r.id = t.run_id
left join approval a on a.organization_id = t.organization_id and a.id = t.approval_id
left join lateral (
  select coalesce(bool_or(k.state in ('ready', 'running')), false) as busy,
    coalesce(bool_or(k.started_at is not null), false) as begun,
    max(greatest(k.started_at, k.finished_at)) as changed_at,
    (select (array_agg(p.id order by p.id))[1]
     from task x
     cross join lateral (
       select q.id from approval q
       where q.organization_id = x.organization_id and q.task_id = x.id and q.status = 'pending' offset 0) p
     where x.organization_id = t.organization_id and x.run_id = t.run_id and x.state = 'waiting') as approval_id,
    exists (
      select from call c join task x on x.organization_id = c.organization_id and x.id = c.task_id
      where x.organization_id = t.organization_id and x.run_id = t.run_id and x.state = 'waiting'
        and c.kind = 'signal' and c.name = 'message' and c.state = 'waiting' and c.attempt = x.attempt) as signalled
  from task k
  where k.organization_id = t.organization_id and k.run_id = t.run_id
) w on r.state = 'running';

-- A message whose fate is in doubt is sent again by the next attempt, under the same id: so the row says whose it is now.
alter table a2a_remote add column attempt integer;  -- null: that of its message_id
