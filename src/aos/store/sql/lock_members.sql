-- Locks what a batch of acts rests on, in one fixed order: tasks, then approvals. Budget accounts follow in their own
-- statement. A task is locked only against losing its claim.
with wanted as (
  select * from json_to_recordset(%(members)s::json) as m(organization_id uuid, task_id uuid, claim_token uuid,
    approval_id uuid)
), held as (
  select t.id from task t
  join (select distinct organization_id, task_id from wanted where task_id is not null) w
    on t.organization_id = w.organization_id and t.id = w.task_id
  order by t.organization_id, t.id for share of t
), asked as (
  select a.id from approval a
  join (select distinct organization_id, approval_id from wanted where approval_id is not null) w
    on a.organization_id = w.organization_id and a.id = w.approval_id
  where (select count(*) from held) >= 0
  order by a.organization_id, a.id for update of a
)
select (select count(*) from held) as tasks, (select count(*) from asked) as approvals
