-- Whether an organization has this run, how it stands and where it comes from, and the run that undoes it.
select r.id, r.state, r.name, r.tasks_open, r.parent_run_id, r.undoes_id, r.archived_at, r.chain,
  (select u.id from run u where u.organization_id = r.organization_id and u.undoes_id = r.id) as undone_by
from run r where r.organization_id = %(organization_id)s and r.id = %(id)s
