-- How many runs are open within an outermost run, counted no further than `nested_max`.
select count(*)::int as nested_open from (
  select from run r
  where r.organization_id = %(organization_id)s and r.root_run_id = %(root_run_id)s and r.state in ('running', 'paused')
  limit %(nested_max)s) n
