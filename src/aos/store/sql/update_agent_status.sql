-- Moves an agent to another status, if it stands in one of those from which that is allowed.
update agent set status = %(status)s, updated_at = aos_now(),
  retired_at = case when %(status)s = 'retired' then aos_now() else retired_at end
where organization_id = %(organization_id)s and id = %(id)s and status = any(%(allowed)s::text[])
returning id
