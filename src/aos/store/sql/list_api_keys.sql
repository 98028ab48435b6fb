-- A page of an agent's API keys, without the keys.
select k.id, k.label, k.prefix, k.created_at, k.expires_at, k.revoked_at
from api_key k
where k.organization_id = %(organization_id)s and k.agent_id = %(agent_id)s
  and (%(id)s::uuid is null or k.id = %(id)s)
  and (%(from)s::timestamptz is null or k.created_at >= %(from)s)
  and (%(to)s::timestamptz is null or k.created_at < %(to)s)
  and (%(after_id)s::uuid is null or case when %(descending)s then k.id < %(after_id)s else k.id > %(after_id)s end)
order by case when not %(descending)s then k.id end, case when %(descending)s then k.id end desc
limit %(limit)s
