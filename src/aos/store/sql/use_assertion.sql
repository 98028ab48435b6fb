-- Uses a client's assertion: no row where its key or agent has ended or it has expired, `first` is false where it was used
-- before. The epoch is the one under which the key stood.
with standing as (
  select k.organization_id, k.id as key_id, k.agent_id, o.epoch
  from agent_key k
  join agent a on a.organization_id = k.organization_id and a.id = k.agent_id
  join organization o on o.id = k.organization_id
  where k.organization_id = %(organization_id)s and k.id = %(key_id)s and k.revoked_at is null and a.status <> 'retired'
    and %(expires_at)s::timestamptz > aos_now()
), used as (
  insert into used_assertion (organization_id, agent_id, jti_hash, expires_at)
  select organization_id, agent_id, %(jti_hash)s, %(expires_at)s::timestamptz from standing
  on conflict (organization_id, agent_id, jti_hash) do nothing
  returning 1
)
select s.epoch, aos_now() as now, exists (select from used) as first from standing s
