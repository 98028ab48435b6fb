-- A page of policies, each at its newest version, with the one that is active.
select p.id, p.name, p.version, v.state, v.spec, active.version as active_version, p.created_at,
  p.retired_at, v.created_at as updated_at
from policy p
join policy_version v on v.organization_id = p.organization_id and v.policy_id = p.id and v.version = p.version
left join policy_version active on active.organization_id = p.organization_id and active.policy_id = p.id
  and active.state = 'active'
where p.organization_id = %(organization_id)s
  and (%(id)s::uuid is null or p.id = %(id)s)
  and (%(name)s::text is null or p.name = %(name)s)
  and (%(state)s::text is null or v.state = %(state)s)
  and (%(outcome)s::text is null or v.spec->>'outcome' = %(outcome)s)
  and (%(retired)s::boolean is null or (p.retired_at is not null) = %(retired)s)
  and (%(from)s::timestamptz is null or p.created_at >= %(from)s)
  and (%(to)s::timestamptz is null or p.created_at < %(to)s)
  and (%(after_id)s::uuid is null or case when %(descending)s then p.id < %(after_id)s else p.id > %(after_id)s end)
  and (%(after_name)s::text is null
       or case when %(descending)s then p.name < %(after_name)s else p.name > %(after_name)s end)
order by case when %(by_name)s and not %(descending)s then p.name end,
  case when %(by_name)s and %(descending)s then p.name end desc,
  case when not %(descending)s then p.id end, case when %(descending)s then p.id end desc
limit %(limit)s
