-- A page of models, each at the version in force, else at the newest that waits.
select m.id, m.name, m.version, coalesce(v.spec, n.spec) as spec, n.version as draft_version, m.created_at, m.updated_at,
  m.retired_at
from model m
left join model_version v on v.organization_id = m.organization_id and v.model_id = m.id and v.version = m.version
left join lateral (
  select w.version, w.spec from model_version w
  where w.organization_id = m.organization_id and w.model_id = m.id and w.version > m.version
  order by w.version desc limit 1) n on true
where m.organization_id = %(organization_id)s
  and (%(id)s::uuid is null or m.id = %(id)s)
  and (%(name)s::text is null or m.name = %(name)s)
  and (%(provider)s::text is null or coalesce(v.spec, n.spec)->>'provider' = %(provider)s)
  and (%(retired)s::boolean is null or (m.retired_at is not null) = %(retired)s)
  and (%(from)s::timestamptz is null or m.created_at >= %(from)s)
  and (%(to)s::timestamptz is null or m.created_at < %(to)s)
  and (%(after_id)s::uuid is null or case when %(descending)s then m.id < %(after_id)s else m.id > %(after_id)s end)
  and (%(after_name)s::text is null
       or case when %(descending)s then m.name < %(after_name)s else m.name > %(after_name)s end)
order by case when %(by_name)s and not %(descending)s then m.name end,
  case when %(by_name)s and %(descending)s then m.name end desc,
  case when not %(descending)s then m.id end, case when %(descending)s then m.id end desc
limit %(limit)s
