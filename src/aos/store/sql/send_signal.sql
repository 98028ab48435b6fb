-- Sends one signal to an open run: the decided act, its record, the signal, what its value tells of origins, and those who
-- wait for it are told. Once only for a key. Nothing is written where the organization's epoch or the approval is no
-- longer as it was decided on, the run has ended, or as many signals of the run as may be wait to be taken, whatever their
-- names. The name and those who wait were locked before, so that whoever looks
-- for it either finds it or is told.
with member as (
  select * from json_to_recordset(%(members)s::json) as m(
    organization_id uuid, epoch bigint, id uuid, run_id uuid, name text, sender jsonb, content_id uuid, key text,
    source_id uuid, action_id uuid, outcome text, rules jsonb, agent_id uuid, agent_version int, department_id uuid,
    chain jsonb, approval_id uuid, digest bytea, outcome_content_id uuid, clock timestamptz, origin_incomplete boolean)
), live as (
  select m.* from member m
  where (select o.epoch from organization o where o.id = m.organization_id) = m.epoch
    and (select r.state from run r where r.organization_id = m.organization_id and r.id = m.run_id)
      in ('running', 'paused')
    and not exists (
      select from signal s where s.organization_id = m.organization_id and s.run_id = m.run_id and s.taken_by is null
      order by s.name, s.id offset %(open_max)s - 1 limit 1)
    and (m.approval_id is null or (
      select a.status = 'approved' and a.digest = m.digest and a.expires_at > aos_now() from approval a
      where a.organization_id = m.organization_id and a.id = m.approval_id))
), sent as (
  insert into signal (organization_id, id, run_id, name, sender, content_id, key, action_id)
  select organization_id, id, run_id, name, sender, content_id, key, action_id from live
  on conflict (organization_id, run_id, key) where key is not null do nothing
  returning organization_id, id
), granted as (
  select l.* from live l join sent s on s.organization_id = l.organization_id and s.id = l.id
), acted as (
  insert into action as a (organization_id, id, kind, name, state, outcome, rules, agent_id, agent_version,
    department_id, chain, run_id, approval_id, digest, arguments_content_id, outcome_content_id, clock, intended_at,
    concluded_at)
  select organization_id, action_id, 'message', name, 'performed', outcome, rules, agent_id, agent_version,
    department_id, chain, run_id, approval_id, digest, content_id, outcome_content_id, clock, aos_now(), aos_now()
  from granted
  on conflict (organization_id, id) do update set
    state = excluded.state, outcome = excluded.outcome, rules = excluded.rules, run_id = excluded.run_id,
    approval_id = excluded.approval_id, outcome_content_id = excluded.outcome_content_id, clock = excluded.clock,
    concluded_at = excluded.concluded_at
    where a.state = 'waiting'
), used as (
  update approval a set status = 'used', used_by_action_id = g.action_id
  from granted g
  where g.approval_id is not null and a.organization_id = g.organization_id and a.id = g.approval_id
), unlinked as (
  delete from edge e using granted g
  where e.organization_id = g.organization_id and e.source_id = g.source_id
  returning e.organization_id, e.target_id
), woken as (
  update task t set blockers = greatest(t.blockers - 1, 0),
    state = case when t.blockers = 1 then 'ready' else t.state end,
    ready_at = case when t.blockers = 1 then aos_now() else t.ready_at end
  from unlinked u
  where t.organization_id = u.organization_id and t.id = u.target_id and t.state = 'waiting'
  returning t.organization_id, t.state, t.paused
), traced as (
  insert into origin_token (organization_id, run_id, token, origin, whole)
  select distinct g.organization_id, g.run_id, o.token, o.origin, o.whole
  from json_to_recordset(%(origins)s::json) as o(token bytea, origin text, whole boolean)
  cross join granted g
  on conflict do nothing
), seen as (
  update run r set origin_tokens = r.origin_tokens + json_array_length(%(origins)s::json),
    origin_incomplete = r.origin_incomplete or g.origin_incomplete
      or r.origin_tokens + json_array_length(%(origins)s::json) > %(origin_tokens_max)s
  from granted g
  where r.organization_id = g.organization_id and r.id = g.run_id
    and (g.origin_incomplete or json_array_length(%(origins)s::json) > 0)
), kept as (
  insert into content (organization_id, id, purpose, data_key_id, salt, sealed, erase_after)
  select c.organization_id, c.id, c.purpose, c.data_key_id, c.salt, c.sealed, c.erase_after
  from json_to_recordset(%(contents)s::json) as c(organization_id uuid, id uuid, purpose text, data_key_id uuid,
    salt bytea, sealed bytea, erase_after timestamptz)
  join granted g on g.organization_id = c.organization_id
), recorded as (
  select r.* from json_to_recordset(%(records)s::json) as r(organization_id uuid, id uuid, kind text, run_id uuid,
    action_id uuid, bytes bytea, leaf bytea, position int)
  join granted g on g.organization_id = r.organization_id
), written as (
  insert into record (organization_id, id, kind, run_id, action_id, bytes)
  select organization_id, id, kind, run_id, action_id, bytes from recorded
), pending as (
  insert into ledger_pending (organization_id, record_id, leaf, position)
  select organization_id, id, leaf, position from recorded
)
select id, (select count(*) from woken where state = 'ready')::int as woken,
  (select count(pg_notify('aos_ready', organization_id::text)) from (
    select distinct organization_id from woken where state = 'ready' and not paused) w) as bell
from granted
