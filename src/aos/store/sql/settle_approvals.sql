-- Answers a batch of approvals, each once: given or denied before it expires, expired after. A yes counts for the roles that
-- it is given with; it is pending until no role is left, and a yes that no role is left for writes nothing. A denial refuses the act that
-- waited and its call; expiry does so inside a run, while outside the same act may ask again. The tasks that waited are
-- told. Those tasks were locked before, so the edges read here are all there are. Returns the members written.
with member as (
  select * from json_to_recordset(%(members)s::json) as m(
    n int, organization_id uuid, approval_id uuid, status text, person_id uuid, answer_content_id uuid, error_code text,
    roles text[])
), settled as (
  update approval a set
    status = case when m.status = 'approved' and not a.roles_left <@ m.roles then 'pending' else m.status end,
    roles_left = case when m.status = 'approved' then array(
        select r from unnest(a.roles_left) with ordinality as left_over(r, place) where r <> all(m.roles) order by place)
      else a.roles_left end,
    answers = case when m.status = 'approved' then a.answers || jsonb_build_object('person_id', m.person_id,
        'roles', array(select r from unnest(a.roles_left) as given(r) where r = any(m.roles)),
        'content_id', m.answer_content_id, 'at', aos_now())
      else a.answers end,
    answered_by = case when m.status = 'approved' and not a.roles_left <@ m.roles then null else m.person_id end,
    answer_content_id = case when m.status = 'approved' and not a.roles_left <@ m.roles then null
      else m.answer_content_id end,
    answered_at = case when m.status = 'expired' or (m.status = 'approved' and not a.roles_left <@ m.roles)
      then a.answered_at else aos_now() end
  from member m
  where a.organization_id = m.organization_id and a.id = m.approval_id
    and case m.status when 'expired' then a.status in ('pending', 'approved') and a.expires_at <= aos_now()
                      else a.status = 'pending' and a.expires_at > aos_now() end
    and (m.status <> 'approved' or a.roles_left && m.roles)
  returning m.n, a.organization_id, a.id, a.status, a.action_id, a.task_id, a.call_key, a.idempotency_key,
    (a.chain -> -1 ->> 'id')::uuid as actor_id, m.answer_content_id, m.error_code
), refused as (
  update action c set state = 'refused', error_code = s.error_code, outcome_content_id = s.answer_content_id,
    concluded_at = aos_now()
  from settled s
  where c.organization_id = s.organization_id and c.id = s.action_id and c.state = 'waiting'
    and (s.status = 'denied' or (s.status = 'expired' and s.task_id is not null))
  returning c.organization_id, c.id
), called as (
  update call k set state = 'refused', outcome_content_id = s.answer_content_id, seq = nextval('call_seq')
  from settled s
  join refused r on r.organization_id = s.organization_id and r.id = s.action_id
  where s.call_key is not null and k.organization_id = s.organization_id and k.task_id = s.task_id
    and k.key = s.call_key and k.action_id = s.action_id and k.state = 'waiting'
), keyed as (
  update idempotency i set status = 403, answer_content_id = s.answer_content_id
  from settled s
  join refused r on r.organization_id = s.organization_id and r.id = s.action_id
  where s.task_id is null and s.idempotency_key is not null and i.organization_id = s.organization_id
    and i.principal_id = s.actor_id and i.key = s.idempotency_key and i.action_id = s.action_id and i.status = 202
), released as (
  select e.organization_id, e.target_id, count(*)::int as count
  from settled s join edge e on e.organization_id = s.organization_id and e.source_id = s.id
  where s.status <> 'pending'
  group by 1, 2
), locked as (
  select t.organization_id, t.id, r.count
  from released r join task t on t.organization_id = r.organization_id and t.id = r.target_id
  where t.state = 'waiting'
  order by t.organization_id, t.id for update of t
), unlinked as (
  delete from edge e using settled s
  where e.organization_id = s.organization_id and e.source_id = s.id and s.status <> 'pending'
), woken as (
  update task t set blockers = greatest(t.blockers - l.count, 0),
    state = case when t.blockers between 1 and l.count then 'ready' else t.state end,
    ready_at = case when t.blockers between 1 and l.count then aos_now() else t.ready_at end
  from locked l
  where t.organization_id = l.organization_id and t.id = l.id
  returning t.organization_id, t.state, t.paused
), kept as (
  insert into content (organization_id, id, purpose, data_key_id, salt, sealed, erase_after)
  select c.organization_id, c.id, c.purpose, c.data_key_id, c.salt, c.sealed, c.erase_after
  from json_to_recordset(%(contents)s::json) as c(n int, organization_id uuid, id uuid, purpose text, data_key_id uuid,
    salt bytea, sealed bytea, erase_after timestamptz)
  where (c.n in (select n from settled)) is true
), recorded as (
  select r.* from json_to_recordset(%(records)s::json) as r(n int, organization_id uuid, id uuid, kind text, run_id uuid,
    action_id uuid, bytes bytea, leaf bytea, position int)
  where (r.n in (select n from settled)) is true
), written as (
  insert into record (organization_id, id, kind, run_id, action_id, bytes)
  select organization_id, id, kind, run_id, action_id, bytes from recorded
), pending as (
  insert into ledger_pending (organization_id, record_id, leaf, position)
  select organization_id, id, leaf, position from recorded
)
select s.n, s.status,
  (select count(pg_notify('aos_ready', organization_id::text)) from (
    select distinct organization_id from woken where state = 'ready' and not paused) w) as bell,
  (select pg_notify('aos_approval', s.id::text)) as approval_bell
from settled s
