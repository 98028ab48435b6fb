-- How many tasks of an organization are open, by its open runs: `tasks_open` of each is kept true by every end. One state
-- at a time, so that runs which have ended are never read.
select coalesce((select sum(tasks_open) from run where organization_id = %(organization_id)s and state = 'running'), 0)::bigint
  + coalesce((select sum(tasks_open) from run where organization_id = %(organization_id)s and state = 'paused'), 0)::bigint
  as tasks_open
