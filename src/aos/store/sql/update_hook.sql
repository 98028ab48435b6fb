-- Changes a hook; its address and its secret stay.
update hook set does = %(does)s, target_kind = %(target_kind)s, target = %(target)s, mapping = %(mapping)s::jsonb,
  accepts = %(accepts)s::jsonb, owner_id = %(owner_id)s, enabled = %(enabled)s, updated_at = aos_now()
where organization_id = %(organization_id)s and id = %(id)s and retired_at is null
returning id
