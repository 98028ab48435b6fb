-- Puts a version of an agent that waits in force; no row where the agent is retired or a later version is in force.
update agent a set version = v.version, type = v.spec->'columns'->>'type', updated_at = aos_now(),
  department_id = (v.spec->'columns'->>'department_id')::uuid, owner_id = (v.spec->'columns'->>'owner_id')::uuid,
  status = case when a.version = 0 and a.status = 'paused' then 'running' else a.status end
from agent_version v
where a.organization_id = %(organization_id)s and a.id = %(id)s and a.status <> 'retired'
  and v.organization_id = a.organization_id and v.agent_id = a.id and v.version = %(version)s and v.version > a.version
returning a.status, v.digest
