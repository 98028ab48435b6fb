-- Files a schedule; no row where the name is taken.
insert into schedule (organization_id, id, name, target_kind, target, cron, timezone, input_content_id, goal, labels,
  priority, catch_up, overlap, owner_id, enabled, next_at)
values (%(organization_id)s, %(id)s, %(name)s, %(target_kind)s, %(target)s, %(cron)s, %(timezone)s, %(input_content_id)s,
  %(goal)s, %(labels)s::jsonb, %(priority)s, %(catch_up)s, %(overlap)s, %(owner_id)s, %(enabled)s, %(next_at)s)
on conflict (organization_id, name) where retired_at is null do nothing
returning id
