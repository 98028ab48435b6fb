-- Failed runs whose acts are to be undone, since a task of theirs says so, and whose undoing has not begun. Looked for
-- among runs that ended lately, and only those of workflows in which some task says so.
select r.organization_id, r.id, r.chain
from run r
join workflow_version v on v.organization_id = r.organization_id and v.workflow_id = r.workflow_id
  and v.version = r.workflow_version
where r.finished_at is not null and r.archived_at is null and r.state = 'failed'
  and v.spec @? '$.tasks[*] ? (@.on_failure == "compensate")'
  and exists (
    select from task t
    where t.organization_id = r.organization_id and t.run_id = r.id and t.parent_id is null and t.state = 'failed'
      and t.spec ->> 'on_failure' = 'compensate')
  and not exists (select from run u where u.organization_id = r.organization_id and u.undoes_id = r.id)
order by r.finished_at
limit 100
