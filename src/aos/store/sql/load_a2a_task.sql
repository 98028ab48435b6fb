-- One task of a principal at an agent, by its id or by the message that it came of, with what went in and what came out.
with found as materialized (
  select id from a2a_task where organization_id = %(organization_id)s and id = %(id)s
  union all
  select id from a2a_task
  where %(id)s::uuid is null and organization_id = %(organization_id)s and principal_id = %(principal_id)s
    and agent_id = %(agent_id)s and message_id = %(message_id)s
)
select t.*, g.name as agent,
  case when t.phase = 'failed' then coalesce(
    (select k.error_content_id from task k
     where k.organization_id = t.organization_id and k.run_id = t.run_id and k.state = 'failed' and k.parent_id is null
     order by k.id limit 1),
    (select k.error_content_id from task_finished k
     where k.organization_id = t.organization_id and k.run_id = t.run_id and k.state = 'failed' and k.parent_id is null
     order by k.id limit 1)) end as error_content_id
from found f
cross join lateral (
  select * from a2a_task_now where organization_id = %(organization_id)s and id = f.id offset 0) t
join agent g on g.organization_id = t.organization_id and g.id = t.agent_id
where (%(principal_id)s::uuid is null or t.principal_id = %(principal_id)s)
  and (%(agent_id)s::uuid is null or t.agent_id = %(agent_id)s)
  and (%(message_id)s::text is null or t.message_id = %(message_id)s)
limit 1
