-- Gives claimed tasks back: their next pass is the same attempt. `counted` counts towards poison. Returns those written.
with member as (
  select * from json_to_recordset(%(members)s::json) as m(
    n int, organization_id uuid, task_id uuid, claim_token uuid, counted boolean, delay_seconds double precision,
    runtime_ms bigint)
), freed as (
  update task t set state = 'ready', claim_token = null, claimed_by = null, lease_until = null,
    claims = t.claims + m.counted::int, ready_at = aos_now() + m.delay_seconds * interval '1 second',
    runtime_ms = t.runtime_ms + m.runtime_ms
  from member m
  where t.organization_id = m.organization_id and t.id = m.task_id
    and t.claim_token = m.claim_token
  returning m.n
)
select n, (select pg_notify('aos_ready', '')) as bell from freed
