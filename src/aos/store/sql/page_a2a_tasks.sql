-- A page of a principal's tasks at an agent, the newest first, and how many there are in all.
select p.*
from (
  select t.*, g.name as agent, null::uuid as error_content_id, count(*) over () as tasks_total
  from a2a_task_now t
  join agent g on g.organization_id = t.organization_id and g.id = t.agent_id
  where t.organization_id = %(organization_id)s and t.principal_id = %(principal_id)s and t.agent_id = %(agent_id)s
    and (%(context_id)s::text is null or t.context_id = %(context_id)s)
    and (%(phases)s::text[] is null or t.phase = any(%(phases)s::text[]))
    and (%(changed_after)s::timestamptz is null or t.changed_at > %(changed_after)s)
) p
where %(before_id)s::uuid is null or p.id < %(before_id)s
order by p.id desc
limit %(limit)s
