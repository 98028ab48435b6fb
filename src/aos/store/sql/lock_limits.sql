-- Locks the limits on agents and queues that no other claim is counting, before a claim counts what they leave; the claim
-- that follows in this transaction reads which. A claim need not outlive the server: whatever is written under one is
-- written after it and waits for both, and a claim that is lost was never used.
select set_config('aos.limits', coalesce(string_agg(l.id::text, ','), ''), true),
  set_config('synchronous_commit', 'off', true)
from (select id from concurrency_limit where kind in ('agent', 'queue') for update skip locked) l
