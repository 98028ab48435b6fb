-- A run knows the outermost run that it is nested in: one more than an order could reach is not started. A failed run
-- says why its undoing has not begun by itself.

alter table run
  add column root_run_id uuid,                        -- null: nobody's task started it
  add column undo_error text;                         -- why a person has to begin the undoing

with recursive tree as (
  select organization_id, id, id as root_id from run r
  where parent_run_id is null
    and exists (select from run n where n.organization_id = r.organization_id and n.parent_run_id = r.id)
  union all
  select n.organization_id, n.id, t.root_id from tree t
  join run n on n.organization_id = t.organization_id and n.parent_run_id = t.id
)
update run r set root_run_id = t.root_id
from tree t
where r.organization_id = t.organization_id and r.id = t.id and t.id <> t.root_id;

-- The open runs within an outermost one are counted by this where one more starts: a counter in its row would have those who
-- start them wait for one another's commits.
create index run_root on run (organization_id, root_run_id)
  where root_run_id is not null and state in ('running', 'paused');
