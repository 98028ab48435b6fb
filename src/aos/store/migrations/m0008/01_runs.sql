-- A run knows the outermost run that it is nested in, and that one how many of those nested in it are open: one more than
-- an order could reach is not started. A failed run says why its undoing has not begun by itself.

alter table run
  add column root_run_id uuid,                        -- null: nobody's task started it
  add column nested_open int not null default 0,      -- of an outermost run: the open runs at any depth within it
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

update run r set nested_open = n.count
from (
  select organization_id, root_run_id, count(*)::int as count from run
  where root_run_id is not null and state in ('running', 'paused') group by 1, 2) n
where r.organization_id = n.organization_id and r.id = n.root_run_id;
