-- The limits on agents, tools and models, each with how many of its tasks or calls are under way.
select c.kind, c.name, c.at_most, case c.kind
  when 'agent' then (
    select count(*)::int from task t join agent a on a.organization_id = t.organization_id and a.id = t.agent_id
    where a.organization_id = c.organization_id and a.name = c.name and t.state = 'running')
  else (
    select count(*)::int from action x
    where x.organization_id = c.organization_id and x.kind = c.kind and x.name = c.name and x.state = 'intended'
      and x.limited)
  end as under_way
from concurrency_limit c
where c.organization_id = %(organization_id)s and c.kind <> 'queue'
order by c.kind, c.name
