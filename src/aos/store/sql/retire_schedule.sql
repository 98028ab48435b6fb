-- Retires a schedule: it starts nothing, its name is free, its input is to be erased. No row where it is retired.
with retired as (
  update schedule set retired_at = aos_now(), updated_at = aos_now(), enabled = false, next_at = null
  where organization_id = %(organization_id)s and id = %(id)s and retired_at is null
  returning id, input_content_id
), erased as (
  update content c set erase_after = aos_now()
  from retired r
  where c.organization_id = %(organization_id)s and c.id = r.input_content_id
)
select id from retired
