-- The newest checkpoints of an agent's thread: in one namespace or in all, one by its id, or those before another.
select c.id as checkpoint_id, c.namespace, c.parent_id, v.organization_id, v.id, v.data_key_id, v.sealed
from checkpoint c
join content v on v.organization_id = c.organization_id and v.id = c.content_id
where c.organization_id = %(organization_id)s and c.agent_id = %(agent_id)s and c.thread = %(thread)s
  and (%(namespace)s::text is null or c.namespace = %(namespace)s)
  and (%(id)s::text is null or c.id = %(id)s)
  and (%(before)s::text is null or c.id < %(before)s)
order by c.id desc
limit %(limit)s
