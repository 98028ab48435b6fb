-- The acts of a run and of those nested in it that changed something, or may have, the last one first, after a given one;
-- each with what was given and what came back, and with what its undoing in this task has come to. Of a nested run that
-- is undone by runs of its own, or whose parent is, with those and with what its undoing there has come to.
with recursive tree as (
  select %(run_id)s::uuid as id, 1 as depth, '{}'::uuid[] as undone_by
  union all
  select r.id, t.depth + 1, t.undone_by || array(
    select u.id from run u where u.organization_id = %(organization_id)s and u.undoes_id = r.id)
  from tree t
  join run r on r.organization_id = %(organization_id)s and r.parent_run_id = t.id
  where t.depth < %(depth_max)s
)
select a.id, a.name, a.state, a.chain, a.run_id, coalesce(a.concluded_at, a.intended_at) as at,
  k.state as undoing, t.undone_by, d.state as undone_there, u.organization_id as arguments_organization_id, u.data_key_id as arguments_key_id,
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
left join lateral (
  select d.state from action d
  where d.organization_id = a.organization_id and d.run_id = any(t.undone_by) and d.call_key = 'undo:' || a.id
  order by d.state <> 'performed' limit 1
) d on true
where a.kind = 'tool' and a.effect <> 'read' and a.state in ('performed', 'unknown', 'intended')
  and (%(before_at)s::timestamptz is null
    or (coalesce(a.concluded_at, a.intended_at), a.id) < (%(before_at)s, %(before_id)s::uuid))
order by coalesce(a.concluded_at, a.intended_at) desc, a.id desc
limit %(limit)s
