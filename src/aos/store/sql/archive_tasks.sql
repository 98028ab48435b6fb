-- Moves up to `tasks_max` tasks of an ended run to the partitioned table, and drops what only their replay needed.
with gone as (
  delete from task t
  where t.organization_id = %(organization_id)s and t.id in (
    select id from task where organization_id = %(organization_id)s and run_id = %(run_id)s
      and state in ('succeeded', 'failed', 'skipped', 'cancelled')
    order by id limit %(tasks_max)s)
  returning t.*
), moved as (
  insert into task_finished select * from gone
), unlinked as (
  delete from edge e using gone g where e.organization_id = g.organization_id and e.target_id = g.id
), forgotten as (
  delete from call k using gone g where k.organization_id = g.organization_id and k.task_id = g.id
)
select count(*) as moved from gone
