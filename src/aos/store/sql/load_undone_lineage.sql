-- Where a run and what it was forked from stand apart: the run that undoes its source, and, of a run that is undone itself,
-- its forks that stand. These began before it was undone: only runs between the two, by their ids, are looked at.
select
  (select u.id from run u
    where u.organization_id = %(organization_id)s and u.undoes_id = %(forked_from_id)s::uuid) as source_undone_by,
  array(select f.id from run f
    where f.organization_id = %(organization_id)s and f.id > %(run_id)s and f.id < %(until)s::uuid
      and f.forked_from_id = %(run_id)s
      and not exists (
        select from run u where u.organization_id = f.organization_id and u.undoes_id = f.id)
    order by f.id limit %(limit)s) as standing_forks
