-- Records a batch of timers, each under its task's claim: the first time when it is due, and once that has come, that it
-- is over. Returns how each member written stands.
with member as (
  select * from json_to_recordset(%(members)s::json) as m(
    n int, organization_id uuid, task_id uuid, claim_token uuid, key text, attempt int, tries int, name text,
    delay_seconds double precision)
), live as (
  select m.* from member m
  join task t on t.organization_id = m.organization_id and t.id = m.task_id
  where t.claim_token = m.claim_token
), called as (
  insert into call as c (organization_id, task_id, key, attempt, tries, kind, name, state, due_at, seq)
  select organization_id, task_id, key, attempt, tries, 'timer', name,
    case when delay_seconds <= 0 then 'performed' else 'waiting' end,
    aos_now() + delay_seconds * interval '1 second', case when delay_seconds <= 0 then nextval('call_seq') end
  from live
  on conflict (organization_id, task_id, key, attempt, tries) do update set
    state = case when c.state = 'waiting' and c.due_at <= aos_now() then 'performed' else c.state end,
    seq = case when c.state = 'waiting' and c.due_at <= aos_now() then nextval('call_seq') else c.seq end
  returning organization_id, task_id, key, attempt, tries, state, due_at
)
select l.n, c.state, c.due_at
from live l
join called c on c.organization_id = l.organization_id and c.task_id = l.task_id and c.key = l.key
  and c.attempt = l.attempt and c.tries = l.tries
