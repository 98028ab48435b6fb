-- What each agent did last: its newest action, with the run that this belonged to.
select a.id as agent_id, x.id as action_id, x.name as act, x.state, x.intended_at, x.run_id, r.name as run
from agent a
cross join lateral (
  select c.id, c.name, c.state, c.intended_at, c.run_id from action c
  where c.organization_id = a.organization_id and c.agent_id = a.id
  order by c.id desc limit 1
) x
left join run r on r.organization_id = a.organization_id and r.id = x.run_id
where a.organization_id = %(organization_id)s
