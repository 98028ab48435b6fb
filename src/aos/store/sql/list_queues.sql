-- A page of queues, each with how many of its tasks are under way and how many stand ready.
select d.id, d.name, d.at_most as concurrency, d.created_at, d.updated_at,
  (select count(*)::int from task t
   where t.organization_id = d.organization_id and t.queue = d.name and t.state = 'running') as under_way
from concurrency_limit d
where d.organization_id = %(organization_id)s and d.kind = 'queue'
  and (%(id)s::uuid is null or d.id = %(id)s)
  and (%(name)s::text is null or d.name = %(name)s)
  and (%(from)s::timestamptz is null or d.created_at >= %(from)s)
  and (%(to)s::timestamptz is null or d.created_at < %(to)s)
  and (%(after_id)s::uuid is null or case when %(descending)s then d.id < %(after_id)s else d.id > %(after_id)s end)
  and (%(after_name)s::text is null
       or case when %(descending)s then d.name < %(after_name)s else d.name > %(after_name)s end)
order by case when %(by_name)s and not %(descending)s then d.name end,
  case when %(by_name)s and %(descending)s then d.name end desc,
  case when not %(descending)s then d.id end, case when %(descending)s then d.id end desc
limit %(limit)s
