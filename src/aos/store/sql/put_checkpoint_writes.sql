-- Keeps what one node of a graph wrote after a checkpoint, under its task's claim. What is there stays, unless it `replaces`.
-- Returns a row where the claim stands.
with live as (
  select t.id from task t
  where t.organization_id = %(organization_id)s and t.id = %(task_id)s and t.claim_token = %(claim_token)s
), erased as (
  update content v set sealed = null, salt = null
  from checkpoint_write w, live
  where %(replaces)s::boolean and w.organization_id = %(organization_id)s and w.agent_id = %(agent_id)s
    and w.thread = %(thread)s and w.namespace = %(namespace)s and w.checkpoint_id = %(checkpoint_id)s
    and w.writer = %(writer)s and w.slot = %(slot)s and v.organization_id = w.organization_id and v.id = w.content_id
), put as (
  insert into checkpoint_write as w
    (organization_id, agent_id, thread, namespace, checkpoint_id, writer, slot, run_id, content_id)
  select %(organization_id)s::uuid, %(agent_id)s::uuid, %(thread)s::text, %(namespace)s::text, %(checkpoint_id)s::text,
    %(writer)s::text, %(slot)s::int, %(run_id)s::uuid, %(content_id)s::uuid
  from live
  on conflict (organization_id, agent_id, thread, namespace, checkpoint_id, writer, slot) do update set
    content_id = excluded.content_id where %(replaces)s::boolean
  returning w.slot
), kept as (
  insert into content (organization_id, id, purpose, data_key_id, salt, sealed, erase_after)
  select c.organization_id, c.id, c.purpose, c.data_key_id, c.salt, c.sealed, c.erase_after
  from put, json_to_recordset(%(contents)s::json) as c(organization_id uuid, id uuid, purpose text, data_key_id uuid,
    salt bytea, sealed bytea, erase_after timestamptz)
)
select id from live
