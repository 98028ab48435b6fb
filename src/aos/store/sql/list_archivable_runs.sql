-- Runs that ended long enough ago for their tasks to leave the hot table. One that failed and is still to be undone stays
-- for as long as it is looked for there, so that a late yes of a person is not too late. (Each question is asked by key
-- for its run: as `exists` under `not` they would be answered for all runs at once.)
select r.organization_id, r.id from run r
where r.finished_at < aos_now() - %(after_seconds)s * interval '1 second' and r.archived_at is null
  and (r.state = 'failed' and r.finished_at > aos_now() - %(undo_seconds)s * interval '1 second'
    and (
      select true from workflow_version v
      where v.organization_id = r.organization_id and v.workflow_id = r.workflow_id and v.version = r.workflow_version
        and v.spec @? '$.tasks[*] ? (@.on_failure == "compensate")' limit 1)
    and (
      select true from task t
      where t.organization_id = r.organization_id and t.run_id = r.id and t.parent_id is null and t.state = 'failed'
        and t.spec ->> 'on_failure' = 'compensate' limit 1)
    and (select true from run u where u.organization_id = r.organization_id and u.undoes_id = r.id limit 1) is null
    and (
      select true from idempotency i
      where i.organization_id = r.organization_id and i.principal_id = (r.chain -> -1 ->> 'id')::uuid
        and i.key = 'undo:' || r.id and i.status in (402, 403) limit 1) is null) is not true
order by r.finished_at
limit %(runs_max)s
