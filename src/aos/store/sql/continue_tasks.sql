-- Lets a task go on with a fresh history, under its claim: its next pass has the new input and none of the calls made so
-- far. An act that is not concluded yet is concluded without its call. Returns the member written.
with member as (
  select * from json_to_recordset(%(members)s::json) as m(
    n int, organization_id uuid, task_id uuid, claim_token uuid, input_content_id uuid, runtime_ms bigint)
), gone_on as (
  update task t set state = 'ready', ready_at = aos_now(), generation = t.generation + 1, claim_token = null,
    claimed_by = null, lease_until = null, waits_for = null, wake_at = null,
    input_content_id = m.input_content_id, runtime_ms = t.runtime_ms + m.runtime_ms
  from member m
  where t.organization_id = m.organization_id and t.id = m.task_id and t.claim_token = m.claim_token
  returning m.n, t.organization_id, t.id
), forgotten as (
  delete from call k using gone_on g
  where k.organization_id = g.organization_id and k.task_id = g.id
), kept as (
  insert into content (organization_id, id, purpose, data_key_id, salt, sealed, erase_after)
  select c.organization_id, c.id, c.purpose, c.data_key_id, c.salt, c.sealed, c.erase_after
  from json_to_recordset(%(contents)s::json) as c(n int, organization_id uuid, id uuid, purpose text, data_key_id uuid,
    salt bytea, sealed bytea, erase_after timestamptz)
  where (c.n in (select n from gone_on)) is true
)
select n, (select pg_notify('aos_ready', '')) as bell from gone_on
