-- What the items of a `for_each` task came to, in their order, with what they returned.
select t.item_index, t.label, t.state, t.error_code, t.output_content_id, c.organization_id, c.id, c.data_key_id, c.sealed
from edge e
join task t on t.organization_id = e.organization_id and t.id = e.source_id
left join content c on c.organization_id = t.organization_id and c.id = t.output_content_id
where e.organization_id = %(organization_id)s and e.target_id = %(task_id)s and e.kind = 'child'
order by t.item_index
