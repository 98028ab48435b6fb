-- How many runs one run stands in, itself included, counted no further than `runs_max`; the outermost of them, and how many
-- of the runs nested in that one are open.
with recursive above as (
  select parent_run_id, 1 as depth from run where organization_id = %(organization_id)s and id = %(run_id)s
  union all
  select p.parent_run_id, a.depth + 1 from above a
  join run p on p.organization_id = %(organization_id)s and p.id = a.parent_run_id
  where a.depth < %(runs_max)s
)
select (select max(depth) from above) as depth, r.id as root_run_id, r.nested_open
from run n join run r on r.organization_id = n.organization_id and r.id = coalesce(n.root_run_id, n.id)
where n.organization_id = %(organization_id)s and n.id = %(run_id)s
