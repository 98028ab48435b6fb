-- A page of workflows, each at the version in force, with the number of a newer one that waits.
select w.id, w.name, w.version, v.spec,
  (select max(d.version) from workflow_version d
    where d.organization_id = w.organization_id and d.workflow_id = w.id and d.version > w.version) as draft_version,
  w.created_at, v.created_at as updated_at, w.retired_at
from workflow w
join workflow_version v on v.organization_id = w.organization_id and v.workflow_id = w.id and v.version = w.version
where w.organization_id = %(organization_id)s
  and (%(id)s::uuid is null or w.id = %(id)s)
  and (%(name)s::text is null or w.name = %(name)s)
  and (%(retired)s::boolean is null or (w.retired_at is not null) = %(retired)s)
  and (%(from)s::timestamptz is null or w.created_at >= %(from)s)
  and (%(to)s::timestamptz is null or w.created_at < %(to)s)
  and (%(after_id)s::uuid is null or case when %(descending)s then w.id < %(after_id)s else w.id > %(after_id)s end)
  and (%(after_name)s::text is null
       or case when %(descending)s then w.name < %(after_name)s else w.name > %(after_name)s end)
order by case when %(by_name)s and not %(descending)s then w.name end,
  case when %(by_name)s and %(descending)s then w.name end desc,
  case when not %(descending)s then w.id end, case when %(descending)s then w.id end desc
limit %(limit)s
