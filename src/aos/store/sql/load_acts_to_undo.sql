-- The acts of a run and of those nested in it that changed something, or may have, the last one first, after a given one;
-- each with what was given and what came back, and with what its undoing in this task has come to. Beside these, what
-- its undoing by another run came to (of the run that did it, or of one in which that is nested), and the undoing of a
-- nested run that is open still and goes first.
with recursive above as (
  select %(run_id)s::uuid as id, 1 as depth
  union all
  select p.parent_run_id, a.depth + 1 from above a
  join run p on p.organization_id = %(organization_id)s and p.id = a.id
  where a.depth < %(depth_max)s
), tree as (
  select %(run_id)s::uuid as id, 1 as depth, array(
      select u.id from above b join run u on u.organization_id = %(organization_id)s and u.undoes_id = b.id
      where b.depth > 1) as others,
    null::uuid as open_id, null::timestamptz as open_at
  union all
  select r.id, t.depth + 1, t.others || array_remove(array[u.id], null),
    coalesce(case when u.finished_at is null then u.id end, t.open_id),
    coalesce(case when u.finished_at is null then u.created_at end, t.open_at)
  from tree t
  join run r on r.organization_id = %(organization_id)s and r.parent_run_id = t.id
  left join run u on u.organization_id = %(organization_id)s and u.undoes_id = r.id
  where t.depth < %(depth_max)s
), elsewhere as materialized (
  select distinct on (d.call_key) d.call_key, d.state, d.run_id
  from (select distinct unnest(others) as id from tree) u
  join action d on d.organization_id = %(organization_id)s and d.run_id = u.id
  where d.call_key like 'undo:%%' and d.state in ('performed', 'unknown', 'intended')
  order by d.call_key, d.state <> 'performed'
)
select a.id, a.name, a.state, a.chain, a.run_id, coalesce(a.concluded_at, a.intended_at) as at,
  k.state as undoing, t.open_id, t.open_at, d.state as elsewhere, d.run_id as elsewhere_id,
  u.organization_id as arguments_organization_id, u.data_key_id as arguments_key_id,
  a.arguments_content_id, u.sealed as arguments, a.outcome_content_id, o.data_key_id as outcome_key_id,
  o.sealed as outcome
from tree t
join action a on a.organization_id = %(organization_id)s and a.run_id = t.id
left join content u on u.organization_id = a.organization_id and u.id = a.arguments_content_id
left join content o on o.organization_id = a.organization_id and o.id = a.outcome_content_id
left join lateral (
  select c.state from call c
  where c.organization_id = a.organization_id and c.task_id = %(task_id)s and c.key = 'undo:' || a.id
  order by c.attempt desc, c.tries desc limit 1
) k on true
left join elsewhere d on d.call_key = 'undo:' || a.id
where a.kind = 'tool' and a.effect <> 'read' and a.state in ('performed', 'unknown', 'intended')
  and (%(before_at)s::timestamptz is null
    or (coalesce(a.concluded_at, a.intended_at), a.id) < (%(before_at)s, %(before_id)s::uuid))
order by coalesce(a.concluded_at, a.intended_at) desc, a.id desc
limit %(limit)s
