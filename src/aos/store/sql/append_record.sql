-- Writes ledger records and their places in the queue of the log, in the transaction of the change they record.
with given as (
  select * from json_to_recordset(%(records)s::json) as r(organization_id uuid, id uuid, kind text, run_id uuid,
    action_id uuid, bytes bytea, leaf bytea, position int)
), written as (
  insert into record (organization_id, id, kind, run_id, action_id, bytes)
  select organization_id, id, kind, run_id, action_id, bytes from given
)
insert into ledger_pending (organization_id, record_id, leaf, position)
select organization_id, id, leaf, position from given
