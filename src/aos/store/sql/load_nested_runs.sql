-- The open runs that tasks of these runs have started. A nested run is there once its parent's task is locked: it is
-- started by the statement that parks that task.
select r.id, r.state from run r
where r.organization_id = %(organization_id)s and r.parent_run_id = any(%(run_ids)s::uuid[])
  and r.state in ('running', 'paused')
order by r.id
limit %(limit)s
