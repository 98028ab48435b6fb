-- Locks the limits on agents and queues of the organizations whose tasks are named, in one order, and waits for whoever counts
-- one now: a task that is named is claimed or not, and the next that names it may come seconds later. The claim that follows
-- in this transaction reads which.
select set_config('aos.limits', coalesce(string_agg(l.id::text, ','), ''), true)
from (
  select id from concurrency_limit
  where kind in ('agent', 'queue') and organization_id in (
    select organization_id from json_to_recordset(%(tasks)s::json) as n(organization_id uuid, id uuid))
  order by organization_id, id for update) l
