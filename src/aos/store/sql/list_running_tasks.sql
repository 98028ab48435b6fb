-- The tasks of runs whose passes run at this moment. All that run are few, whatever the size of these runs: they are read
-- by the index of claims, and those of other runs left out.
with running as materialized (
  select organization_id, id, run_id, label from task where state = 'running'
)
select id, run_id, label from running
where organization_id = %(organization_id)s and run_id = any(%(run_ids)s::uuid[])
order by id
limit %(limit)s
