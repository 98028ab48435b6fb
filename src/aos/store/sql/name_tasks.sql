-- How the tasks of these ids are called and whose they are, archived or not.
select t.id, t.label, a.name as agent
from (
  select organization_id, id, label, agent_id from task
  where organization_id = %(organization_id)s and id = any(%(ids)s::uuid[])
  union all
  select organization_id, id, label, agent_id from task_finished
  where organization_id = %(organization_id)s and id = any(%(ids)s::uuid[])
) t
left join agent a on a.organization_id = t.organization_id and a.id = t.agent_id
