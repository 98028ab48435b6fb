-- Locks the limits on agents and queues that no other claim is counting, before a claim counts what they leave; the claim
-- that follows in this transaction reads which.
select set_config('aos.limits', coalesce(string_agg(l.id::text, ','), ''), true)
from (select id from concurrency_limit where kind in ('agent', 'queue') for update skip locked) l
