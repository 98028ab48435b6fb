-- How many tasks of an organization are open, by its open runs: `tasks_open` of each is kept true by every end.
select coalesce(sum(tasks_open), 0)::bigint as tasks_open
from run where organization_id = %(organization_id)s and state in ('running', 'paused')
