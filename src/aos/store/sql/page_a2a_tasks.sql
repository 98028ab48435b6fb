-- A page of a principal's tasks at an agent, the newest first, among the `walk` newest before a place; `walked_to` is where
-- that walk ended short of the last task, and `tasks_total` how many of the `walk` newest of all fit. The walk's own row comes
-- without a task where none fits.
with walked as materialized (
  select w.id from a2a_task w
  where w.organization_id = %(organization_id)s and w.principal_id = %(principal_id)s and w.agent_id = %(agent_id)s
    and (%(context_id)s::text is null or w.context_id = %(context_id)s)
    and (%(before_id)s::uuid is null or w.id < %(before_id)s)
  order by w.id desc
  limit %(walk)s
),
newest as materialized (
  select n.id from a2a_task n
  where n.organization_id = %(organization_id)s and n.principal_id = %(principal_id)s and n.agent_id = %(agent_id)s
    and (%(context_id)s::text is null or n.context_id = %(context_id)s)
  order by n.id desc
  limit %(walk)s
),
counted as (
  select count(*) as tasks_total
  from newest n
  where (%(phases)s::text[] is null and %(changed_after)s::timestamptz is null)
    or exists (
      select from a2a_task_now t
      where t.organization_id = %(organization_id)s and t.id = n.id
        and (%(phases)s::text[] is null or t.phase = any(%(phases)s::text[]))
        and (%(changed_after)s::timestamptz is null or t.changed_at > %(changed_after)s))
),
found as (
  select t.*
  from walked w
  join a2a_task_now t on t.organization_id = %(organization_id)s and t.id = w.id
  where (%(phases)s::text[] is null or t.phase = any(%(phases)s::text[]))
    and (%(changed_after)s::timestamptz is null or t.changed_at > %(changed_after)s)
  order by t.id desc
  limit %(limit)s
)
select f.*, g.name as agent, null::uuid as error_content_id, c.tasks_total,
  case when (select count(*) from walked) = %(walk)s then (select w.id from walked w order by w.id limit 1) end as walked_to
from counted c
left join found f on true
left join agent g on g.organization_id = %(organization_id)s and g.id = f.agent_id
order by f.id desc
