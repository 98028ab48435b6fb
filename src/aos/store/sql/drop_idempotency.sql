-- Forgets stored answers that are older than an Idempotency-Key is promised to last, in bounded steps.
with old as (
  select organization_id, principal_id, key from idempotency
  where created_at < aos_now() - %(after_seconds)s * interval '1 second'
  order by created_at
  limit %(rows_max)s
)
delete from idempotency i using old o
where i.organization_id = o.organization_id and i.principal_id = o.principal_id and i.key = o.key
returning i.key
