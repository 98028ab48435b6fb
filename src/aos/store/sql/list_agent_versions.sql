-- A page of an agent's versions, each with the type, department and owner that it was made with.
select v.id, v.version, v.spec, v.digest, v.created_by, v.created_at, v.spec->'columns'->>'type' as type,
  d.name as department, p.email as owner
from agent_version v
left join department d on d.organization_id = v.organization_id and d.id = (v.spec->'columns'->>'department_id')::uuid
left join person p on p.id = (v.spec->'columns'->>'owner_id')::uuid
where v.organization_id = %(organization_id)s and v.agent_id = %(agent_id)s
  and (%(after)s::int is null or case when %(descending)s then v.version < %(after)s else v.version > %(after)s end)
order by case when not %(descending)s then v.version end, case when %(descending)s then v.version end desc
limit %(limit)s
