-- How many tasks below some tasks of one run stand in each state, by their parent and name, archived or not.
select parent_id, name, state, sum(tasks)::bigint as tasks
from (
  select parent_id, name, state, count(*) as tasks from task
  where organization_id = %(organization_id)s and run_id = %(run_id)s and parent_id = any(%(parents)s::uuid[])
  group by parent_id, name, state
  union all
  select parent_id, name, state, count(*) as tasks from task_finished
  where organization_id = %(organization_id)s and run_id = %(run_id)s and parent_id = any(%(parents)s::uuid[])
  group by parent_id, name, state
) t
group by parent_id, name, state
