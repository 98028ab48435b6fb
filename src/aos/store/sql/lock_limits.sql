-- Locks the limits on agents and queues that no other claim is counting, before a claim counts what they leave.
select id from concurrency_limit where kind in ('agent', 'queue') for update skip locked
