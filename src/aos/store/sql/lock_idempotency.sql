-- Takes an Idempotency-Key until the transaction ends; false where another request is at work under it.
select pg_try_advisory_xact_lock(hashtextextended(
  %(organization_id)s::text || ' ' || %(principal_id)s::text || ' ' || %(key)s, 8470)) as taken
