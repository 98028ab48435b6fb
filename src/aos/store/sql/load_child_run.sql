-- The run that one task started and waits for, with what it came to.
with started as materialized (
  -- First what the task waits for: in the order of the runs, every edge of the organization would be passed.
  select source_id from edge
  where organization_id = %(organization_id)s and target_id = %(task_id)s and kind = 'child'
)
select r.id as run_id, r.name, r.state, r.error_code, c.organization_id, c.id, c.data_key_id, c.sealed
from started s
cross join lateral (
  select * from run where organization_id = %(organization_id)s and id = s.source_id offset 0) r
left join content c on c.organization_id = r.organization_id and c.id = r.output_content_id
order by r.id desc
limit 1
