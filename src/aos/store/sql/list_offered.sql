-- Of some agents, those that have a task on offer: one look by the index for each.
select w.agent_id
from json_to_recordset(%(agents)s::json) as w(organization_id uuid, agent_id uuid)
cross join lateral (
  select from task t
  where t.organization_id = w.organization_id and t.agent_id = w.agent_id
    and t.state = 'waiting' and t.waits_for = 'work' and not t.paused
  limit 1) offered
