-- What the tasks that one task has spawned came to, of those asked for.
select t.id as task_id, t.label, t.state, t.error_code, c.organization_id, c.id, c.data_key_id, c.sealed
from task t
left join content c on c.organization_id = t.organization_id
  and c.id = coalesce(t.output_content_id, t.error_content_id)
where t.organization_id = %(organization_id)s and t.id = any(%(task_ids)s::uuid[]) and t.parent_id = %(parent_id)s
