-- What the items of a `for_each` task came to, in their order, with what they returned. Each is looked up by itself: as joins
-- they would share the organization, and be scanned by it.
select t.item_index, t.label, t.state, t.error_code, t.output_content_id, c.organization_id, c.id, c.data_key_id, c.sealed
from edge e
cross join lateral (
  select i.* from task i where i.organization_id = e.organization_id and i.id = e.source_id limit 1) t
left join content c on c.organization_id = t.organization_id and c.id = t.output_content_id
where e.organization_id = %(organization_id)s and e.target_id = %(task_id)s and e.kind = 'child'
order by t.item_index
