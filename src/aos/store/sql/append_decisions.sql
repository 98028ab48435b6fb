-- Writes records that list decisions, with the content of what was decided on. A member is written only under the epoch on
-- which it was decided. Returns the members written.
with member as (
  select * from json_to_recordset(%(members)s::json) as m(n int, organization_id uuid, epoch bigint)
), live as (
  -- Each is looked up by itself: as a join they would share the organization, and be scanned by it.
  select m.* from member m
  where (select o.epoch from organization o where o.id = m.organization_id) = m.epoch
), kept as (
  insert into content (organization_id, id, purpose, data_key_id, salt, sealed, erase_after)
  select c.organization_id, c.id, c.purpose, c.data_key_id, c.salt, c.sealed, c.erase_after
  from json_to_recordset(%(contents)s::json) as c(n int, organization_id uuid, id uuid, purpose text, data_key_id uuid,
    salt bytea, sealed bytea, erase_after timestamptz)
  where c.n in (select n from live)
), recorded as (
  select r.* from json_to_recordset(%(records)s::json) as r(n int, organization_id uuid, id uuid, kind text, run_id uuid,
    action_id uuid, bytes bytea, leaf bytea, position int)
  where r.n in (select n from live)
), written as (
  insert into record (organization_id, id, kind, run_id, action_id, bytes)
  select organization_id, id, kind, run_id, action_id, bytes from recorded
), pending as (
  insert into ledger_pending (organization_id, record_id, leaf, position)
  select organization_id, id, leaf, position from recorded
)
select n from live
