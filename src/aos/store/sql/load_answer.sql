-- What the person said who approved a call of a task, once the approval is used.
select a.id as approval_id, c.organization_id, c.id, c.data_key_id, c.sealed
from approval a
left join content c on c.organization_id = a.organization_id and c.id = a.answer_content_id
where a.organization_id = %(organization_id)s and a.task_id = %(task_id)s and a.call_key = %(call_key)s
  and a.status = 'used'
order by a.id desc
limit 1
