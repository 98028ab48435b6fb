-- What tasks of one run returned, by name; items of `for_each` and spawned tasks are not among them.
select t.name, c.organization_id, c.id, c.data_key_id, c.sealed
from task t
left join content c on c.organization_id = t.organization_id and c.id = t.output_content_id
where t.organization_id = %(organization_id)s and t.run_id = %(run_id)s and t.parent_id is null
  and t.name = any(%(names)s::text[])
