-- An open hook by its address, with its sealed secret and its owner's roles now: asked before anybody is known.
select h.organization_id, h.id, h.name, h.does, h.target_kind, h.target, h.mapping, h.accepts, h.owner_id, p.email as owner, m.roles,
  s.id as secret_id, s.data_key_id, s.sealed
from hook h
join secret s on s.organization_id = h.organization_id and s.id = h.secret_id
join person p on p.id = h.owner_id
left join member m on m.organization_id = h.organization_id and m.person_id = h.owner_id
where h.organization_id = %(organization_id)s and h.id = %(id)s and h.enabled and h.retired_at is null
  and length(s.sealed) > 0
