-- The limits on agents and tools, each with how many of its tasks or calls are under way.
select c.kind, c.name, c.at_most, case c.kind
  when 'agent' then (
    select count(*)::int from task t join agent a on a.organization_id = t.organization_id and a.id = t.agent_id
    where a.organization_id = c.organization_id and a.name = c.name and t.state = 'running')
  else (
    select count(*)::int from action x join tool l on l.organization_id = x.organization_id and l.id = x.tool_id
    where l.organization_id = c.organization_id and l.name = c.name and x.state = 'intended' and x.limited)
  end as under_way
from concurrency_limit c
where c.organization_id = %(organization_id)s and c.kind <> 'queue'
order by c.kind, c.name
