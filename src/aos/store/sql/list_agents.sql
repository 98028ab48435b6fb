-- A page of agents, each at the version in force, else at the newest that waits, and with the keys that count.
select a.id, a.name, a.type, a.status, a.version, a.department_id, coalesce(d.name, '') as department,
  p.email as owner, coalesce(v.spec, n.spec) as spec, n.version as draft_version, a.created_at, a.updated_at, a.retired_at,
  s.first_at as first_seen_at, s.last_at as last_seen_at, aos_now() as now,
  (select coalesce(jsonb_agg(jsonb_build_object('id', k.id, 'thumbprint', k.thumbprint,
      'public_key', encode(k.public_key, 'base64'), 'proved_at', k.proved_at) order by k.id), '[]')
    from agent_key k where k.organization_id = a.organization_id and k.agent_id = a.id and k.revoked_at is null) as keys
from agent a
left join agent_version v on v.organization_id = a.organization_id and v.agent_id = a.id and v.version = a.version
left join lateral (
  select w.version, w.spec from agent_version w
  where w.organization_id = a.organization_id and w.agent_id = a.id and w.version > a.version
  order by w.version desc limit 1) n on true
join person p on p.id = a.owner_id
left join agent_presence s on s.organization_id = a.organization_id and s.agent_id = a.id
left join department d on d.organization_id = a.organization_id and d.id = a.department_id
where a.organization_id = %(organization_id)s
  and (%(id)s::uuid is null or a.id = %(id)s)
  and (%(name)s::text is null or a.name = %(name)s)
  and (%(type)s::text is null or a.type = %(type)s)
  and (%(status)s::text is null or a.status = %(status)s)
  and (%(department)s::text is null or d.name = %(department)s)
  and (%(owner)s::text is null or p.email = %(owner)s)
  and (%(from)s::timestamptz is null or a.created_at >= %(from)s)
  and (%(to)s::timestamptz is null or a.created_at < %(to)s)
  and (%(after_id)s::uuid is null or case when %(descending)s then a.id < %(after_id)s else a.id > %(after_id)s end)
  and (%(after_name)s::text is null
       or case when %(descending)s then a.name < %(after_name)s else a.name > %(after_name)s end)
order by case when %(by_name)s and not %(descending)s then a.name end,
  case when %(by_name)s and %(descending)s then a.name end desc,
  case when not %(descending)s then a.id end, case when %(descending)s then a.id end desc
limit %(limit)s
