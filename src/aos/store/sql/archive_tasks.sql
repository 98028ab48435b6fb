-- Moves up to `tasks_max` tasks of an ended run to the partitioned table, and drops what only their replay needed.
-- What each came after is kept in its row, in the last column of the partitioned table alone: the graph of a run stays as
-- it was, and the table of edges stays as small as what is at work.
with gone as (
  delete from task t
  where t.organization_id = %(organization_id)s and t.id in (
    select id from task where organization_id = %(organization_id)s and run_id = %(run_id)s
      and state in ('succeeded', 'failed', 'skipped', 'cancelled')
    order by id limit %(tasks_max)s)
  returning t.*
), moved as (
  insert into task_finished
  select g.*, (
    select coalesce(array_agg(e.source_id order by e.source_id), '{}') from edge e
    where e.organization_id = g.organization_id and e.target_id = g.id and e.kind = 'after')
  from gone g
), unlinked as (
  delete from edge e using gone g where e.organization_id = g.organization_id and e.target_id = g.id
), forgotten as (
  delete from call k using gone g where k.organization_id = g.organization_id and k.task_id = g.id
)
select count(*) as moved from gone
