-- How many acts each task of one run did, by what was decided; those of the run itself stand under null.
select task_id, count(*) filter (where outcome = 'allow') as allowed,
  count(*) filter (where outcome = 'escalate') as asked, count(*) filter (where outcome = 'deny') as denied
from action
where organization_id = %(organization_id)s and run_id = %(run_id)s
group by task_id
