-- How many runs one run stands in, itself included, counted no further than `runs_max`, and the outermost of them.
with recursive above as (
  select parent_run_id, 1 as depth from run where organization_id = %(organization_id)s and id = %(run_id)s
  union all
  select p.parent_run_id, a.depth + 1 from above a
  join run p on p.organization_id = %(organization_id)s and p.id = a.parent_run_id
  where a.depth < %(runs_max)s
)
select (select max(depth) from above) as depth, coalesce(r.root_run_id, r.id) as root_run_id
from run r where r.organization_id = %(organization_id)s and r.id = %(run_id)s
