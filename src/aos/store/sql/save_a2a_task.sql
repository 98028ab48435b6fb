-- Writes what a client sent, or how it stands now: the same message is the same row, and what has begun stays begun.
with kept as (
  insert into content (organization_id, id, purpose, data_key_id, salt, sealed, erase_after)
  select organization_id, id, purpose, data_key_id, salt, sealed, erase_after
  from json_to_recordset(%(contents)s::json) as c(organization_id uuid, id uuid, purpose text, data_key_id uuid,
    salt bytea, sealed bytea, erase_after timestamptz)
)
insert into a2a_task as t (organization_id, id, agent_id, principal_id, context_id, message_id, message_content_id, run_id,
  approval_id, ended, reason_content_id)
values (%(organization_id)s, %(id)s, %(agent_id)s, %(principal_id)s, %(context_id)s, %(message_id)s,
  %(message_content_id)s, %(run_id)s, %(approval_id)s, %(ended)s, %(reason_content_id)s)
on conflict (organization_id, principal_id, agent_id, message_id) do update
set run_id = excluded.run_id, approval_id = coalesce(excluded.approval_id, t.approval_id), ended = excluded.ended,
  reason_content_id = excluded.reason_content_id, updated_at = aos_now()
where t.run_id is null and t.ended is null
returning t.id
