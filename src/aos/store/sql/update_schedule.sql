-- Changes a schedule. Its next time stays what it is, unless the times change or it is enabled again; an input that is
-- replaced is to be erased.
with before as (
  select id, input_content_id from schedule
  where organization_id = %(organization_id)s and id = %(id)s and retired_at is null
  for update
), erased as (
  update content c set erase_after = aos_now()
  from before b
  where c.organization_id = %(organization_id)s and c.id = b.input_content_id
    and b.input_content_id is distinct from %(input_content_id)s::uuid
)
update schedule s set target_kind = %(target_kind)s, target = %(target)s, cron = %(cron)s, timezone = %(timezone)s,
  input_content_id = %(input_content_id)s, goal = %(goal)s, labels = %(labels)s::jsonb, priority = %(priority)s,
  catch_up = %(catch_up)s, overlap = %(overlap)s, owner_id = %(owner_id)s, enabled = %(enabled)s, updated_at = aos_now(),
  last_error = case when %(enabled)s and not s.enabled then null else s.last_error end,
  next_at = case
    when s.cron <> %(cron)s or s.timezone <> %(timezone)s or (%(enabled)s and not s.enabled) then %(next_at)s
    else s.next_at end,
  asked_at = case
    when s.cron <> %(cron)s or s.timezone <> %(timezone)s or s.owner_id <> %(owner_id)s or (%(enabled)s and not s.enabled)
      then null
    else s.asked_at end
from before b
where s.organization_id = %(organization_id)s and s.id = b.id
returning s.id
