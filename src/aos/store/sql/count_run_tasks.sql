-- How many tasks of one run stand in each state, archived or not.
select state, sum(tasks)::bigint as tasks
from (
  select state, count(*) as tasks from task
  where organization_id = %(organization_id)s and run_id = %(run_id)s group by state
  union all
  select state, count(*) as tasks from task_finished
  where organization_id = %(organization_id)s and run_id = %(run_id)s group by state
) t
group by state
