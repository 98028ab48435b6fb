-- The run that undoes a run in which one run is nested, the nearest first: what that one did is undone with it. One that
-- ended without having undone all is none of these: what it left may be tried again by an undoing of the nested run.
with recursive above as (
  select parent_run_id as id, 1 as depth from run where organization_id = %(organization_id)s and id = %(run_id)s
  union all
  select p.parent_run_id, a.depth + 1 from above a
  join run p on p.organization_id = %(organization_id)s and p.id = a.id
  where a.depth < %(depth_max)s
)
select u.id from above a
join run u on u.organization_id = %(organization_id)s and u.undoes_id = a.id
  and u.state not in ('failed', 'cancelled')
order by a.depth
limit 1
