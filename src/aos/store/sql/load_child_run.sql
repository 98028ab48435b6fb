-- The run that one task started and waits for, with what it came to.
select r.id as run_id, r.name, r.state, r.error_code, c.organization_id, c.id, c.data_key_id, c.sealed
from edge e
join run r on r.organization_id = e.organization_id and r.id = e.source_id
left join content c on c.organization_id = r.organization_id and c.id = r.output_content_id
where e.organization_id = %(organization_id)s and e.target_id = %(task_id)s and e.kind = 'child'
order by r.id desc
limit 1
