-- Where notifications of a task go, in the order of their names.
select p.id, p.state, p.tries, p.sent_phase, c.organization_id, c.id as content_id, c.data_key_id, c.sealed
from a2a_push p
join content c on c.organization_id = p.organization_id and c.id = p.config_content_id
where p.organization_id = %(organization_id)s and p.task_id = %(task_id)s and p.state <> 'deleted'
  and (%(id)s::text is null or p.id = %(id)s) and (%(after_id)s::text is null or p.id > %(after_id)s)
order by p.id
limit %(limit)s
