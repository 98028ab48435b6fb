-- The task behind a task token, while its claim stands. `chain` is who asked for it; the agent itself follows, null where
-- the task has none: a run of another workflow, an undoing.
select t.organization_id, t.id, t.run_id, t.attempt, t.agent_id, t.chain, t.label, r.clock_start,
  r.created_at as run_created_at, a.name as agent_name, a.version as agent_version, o.epoch
from task t join run r on r.organization_id = t.organization_id and r.id = t.run_id
left join agent a on a.organization_id = t.organization_id and a.id = t.agent_id
join organization o on o.id = t.organization_id
where t.organization_id = %(organization_id)s and t.id = %(task_id)s and t.run_id = %(run_id)s
  and t.claim_token = %(claim_token)s
