-- The tasks of one run that go by a label or an id, each with the one of the run's own plan that it belongs to, and whether
-- it is a part of that: an item or a child. These stand at most a few levels below it.
with recursive above as (
  select t.id as task_id, t.id, t.parent_id, t.name, t.label, t.state, t.waits_for, 1 as depth
  from (
    select id, parent_id, name, label, state, waits_for from task
    where organization_id = %(organization_id)s and run_id = %(run_id)s
      and (label = %(key)s or id::text = %(key)s)
    union all
    select id, parent_id, name, label, state, waits_for from task_finished
    where organization_id = %(organization_id)s and run_id = %(run_id)s
      and (label = %(key)s or id::text = %(key)s)
  ) t
  union all
  select a.task_id, p.id, p.parent_id, p.name, a.label, a.state, a.waits_for, a.depth + 1
  from above a
  cross join lateral (
    select id, parent_id, name from task where organization_id = %(organization_id)s and id = a.parent_id
    union all
    select id, parent_id, name from task_finished where organization_id = %(organization_id)s and id = a.parent_id
  ) p
  where a.depth < 64
)
select task_id as id, label, state, waits_for, name as planned, depth > 1 as is_part from above where parent_id is null
order by task_id
limit 2
