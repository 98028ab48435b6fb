-- The undoings that touch what a run did: of the run itself and of those in which it is nested (`task_id` is null), and of
-- those nested in it, at any depth, each with the task of this run that started the one it lies in.
with recursive above as (
  select %(run_id)s::uuid as id, 1 as depth
  union all
  select p.parent_run_id, a.depth + 1 from above a
  join run p on p.organization_id = %(organization_id)s and p.id = a.id
  where a.depth < %(depth_max)s
), below as (
  select r.id, r.parent_task_id as task_id, 1 as depth from run r
  where r.organization_id = %(organization_id)s and r.parent_run_id = %(run_id)s
  union all
  select r.id, b.task_id, b.depth + 1 from below b
  join run r on r.organization_id = %(organization_id)s and r.parent_run_id = b.id
  where b.depth < %(depth_max)s
)
select f.task_id, f.id as undone_id, u.id from (
  select id, null::uuid as task_id from above union all select id, task_id from below
) f
join run u on u.organization_id = %(organization_id)s and u.undoes_id = f.id
order by f.task_id nulls first, u.id
