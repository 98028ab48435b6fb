-- Answers one call that waits for a signal, under its task's claim: the oldest signal of that name that nobody has taken is
-- taken by it, with its value as the call's outcome; else the call is noted as waiting, or has failed once its time is
-- over. The name and the task were locked before. Returns how the call stands and, once taken, the sealed value.
with member as (
  select * from json_to_recordset(%(members)s::json) as m(
    organization_id uuid, task_id uuid, claim_token uuid, run_id uuid, key text, attempt int, tries int, name text,
    limit_seconds double precision, timeout_content_id uuid)
), live as (
  select m.*, c.state as stood, c.due_at,
    coalesce(c.due_at, aos_now() + m.limit_seconds * interval '1 second') <= aos_now() as over
  from member m
  join task t on t.organization_id = m.organization_id and t.id = m.task_id
  left join call c on c.organization_id = m.organization_id and c.task_id = m.task_id and c.key = m.key
    and c.attempt = m.attempt and c.tries = m.tries
  where t.claim_token = m.claim_token
), picked as (
  select s.organization_id, s.id, s.content_id
  from live l
  join signal s on s.organization_id = l.organization_id and s.run_id = l.run_id and s.name = l.name
  where s.taken_by is null and coalesce(l.stood, 'waiting') = 'waiting'
  order by s.id
  limit 1 for update of s
), taken as (
  update signal s set taken_by = l.task_id
  from picked p cross join live l
  where s.organization_id = p.organization_id and s.id = p.id
  returning s.id
), called as (
  insert into call as c (organization_id, task_id, key, attempt, tries, kind, name, state, outcome_content_id, due_at, seq)
  select l.organization_id, l.task_id, l.key, l.attempt, l.tries, 'signal', l.name,
    case when p.id is not null then 'performed' when l.over then 'failed' else 'waiting' end,
    case when p.id is not null then p.content_id when l.over then l.timeout_content_id end,
    aos_now() + l.limit_seconds * interval '1 second',
    case when p.id is not null or l.over then nextval('call_seq') end
  from live l
  left join picked p on true
  on conflict (organization_id, task_id, key, attempt, tries) do update set
    state = excluded.state, outcome_content_id = excluded.outcome_content_id, seq = excluded.seq
    where c.state = 'waiting'
  returning state, due_at, outcome_content_id
), kept as (
  insert into content (organization_id, id, purpose, data_key_id, salt, sealed, erase_after)
  select c.organization_id, c.id, c.purpose, c.data_key_id, c.salt, c.sealed, c.erase_after
  from json_to_recordset(%(contents)s::json) as c(organization_id uuid, id uuid, purpose text, data_key_id uuid,
    salt bytea, sealed bytea, erase_after timestamptz)
  join called d on d.outcome_content_id = c.id
)
select c.state, c.due_at, v.organization_id, v.id, v.data_key_id, v.sealed
from called c
cross join live l
left join content v on c.state = 'performed' and v.organization_id = l.organization_id and v.id = c.outcome_content_id
