-- How often the very same act of a task was refused at most, since a time.
select coalesce(max(alike.times), 0)::int as times
from (
  select count(*) as times from action a
  where a.organization_id = %(organization_id)s and a.task_id = %(task_id)s and a.state = 'refused'
    and a.intended_at >= %(since)s
  group by a.digest
) alike
