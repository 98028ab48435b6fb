-- Has those take turns who begin to undo runs that are nested in one another: by the outermost of them.
with recursive above as (
  select id, parent_run_id, 1 as depth from run where organization_id = %(organization_id)s and id = %(run_id)s
  union all
  select p.id, p.parent_run_id, a.depth + 1 from above a
  join run p on p.organization_id = %(organization_id)s and p.id = a.parent_run_id
  where a.depth < %(depth_max)s
)
select pg_advisory_xact_lock(hashtextextended('undo:' || id, 0)) from above where parent_run_id is null
