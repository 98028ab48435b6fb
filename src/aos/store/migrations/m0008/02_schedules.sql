-- A schedule keeps the time for which a person was asked whether a run may start: whoever looks for what is due need not
-- look through its owner's Idempotency-Keys.

alter table schedule add column asked_at timestamptz;

update schedule s set asked_at = (
  select max(substr(i.key, length('schedule:' || s.id || ':') + 1)::timestamptz) from idempotency i
  where i.organization_id = s.organization_id and i.principal_id = s.owner_id and i.status = 202
    and starts_with(i.key, 'schedule:' || s.id || ':'))
where s.enabled and s.retired_at is null and s.last_error like 'waits for approval %';

update schedule set asked_at = null where asked_at < next_at;
