-- Failed runs, each with the roles that the person at the root of its chain holds now, whose acts are to be undone, since a task of theirs says so, and whose undoing has neither begun nor been
-- refused. Looked for among runs that are not archived, and only those of workflows in which some task says so. Those
-- after a given one come next: what waits for a person, or fails to begin, holds back no other.
select r.organization_id, r.id, r.chain, r.finished_at, r.undo_error, m.roles
from run r
left join member m on m.organization_id = r.organization_id and r.chain -> 0 ->> 'kind' = 'person'
  and m.person_id = (r.chain -> 0 ->> 'id')::uuid
join workflow_version v on v.organization_id = r.organization_id and v.workflow_id = r.workflow_id
  and v.version = r.workflow_version
where r.finished_at is not null and r.archived_at is null and r.state = 'failed'
  and v.spec @? '$.tasks[*] ? (@.on_failure == "compensate")'
  and exists (
    select from task t
    where t.organization_id = r.organization_id and t.run_id = r.id and t.parent_id is null and t.state = 'failed'
      and t.spec ->> 'on_failure' = 'compensate')
  and not exists (select from run u where u.organization_id = r.organization_id and u.undoes_id = r.id)
  and not exists (
    select from idempotency i
    where i.organization_id = r.organization_id and i.principal_id = (r.chain -> -1 ->> 'id')::uuid
      and i.key = 'undo:' || r.id and i.status in (402, 403))
  and (%(after_at)s::timestamptz is null or (r.finished_at, r.id) > (%(after_at)s, %(after_id)s::uuid))
order by r.finished_at, r.id
limit %(runs_max)s
