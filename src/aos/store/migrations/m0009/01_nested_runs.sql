-- The open runs within an outermost one are counted by an index where one more starts. A counter in the outermost run's row
-- had those who start them wait for one another's commits.

alter table run drop column nested_open;

create index run_root on run (organization_id, root_run_id)
  where root_run_id is not null and state in ('running', 'paused');
