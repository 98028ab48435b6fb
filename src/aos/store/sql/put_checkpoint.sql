-- Keeps a checkpoint of a graph under its task's claim; the same one again takes the place of the first, whose content is
-- erased. Returns a row where the claim stands.
with live as (
  select t.id from task t
  where t.organization_id = %(organization_id)s and t.id = %(task_id)s and t.claim_token = %(claim_token)s
), erased as (
  update content v set sealed = null, salt = null
  from checkpoint c, live
  where c.organization_id = %(organization_id)s and c.agent_id = %(agent_id)s and c.thread = %(thread)s
    and c.namespace = %(namespace)s and c.id = %(id)s and v.organization_id = c.organization_id and v.id = c.content_id
), kept as (
  insert into content (organization_id, id, purpose, data_key_id, salt, sealed, erase_after)
  select c.organization_id, c.id, c.purpose, c.data_key_id, c.salt, c.sealed, c.erase_after
  from live, json_to_recordset(%(contents)s::json) as c(organization_id uuid, id uuid, purpose text, data_key_id uuid,
    salt bytea, sealed bytea, erase_after timestamptz)
)
insert into checkpoint (organization_id, agent_id, thread, namespace, id, parent_id, run_id, content_id)
select %(organization_id)s::uuid, %(agent_id)s::uuid, %(thread)s::text, %(namespace)s::text, %(id)s::text,
  %(parent_id)s::text, %(run_id)s::uuid, %(content_id)s::uuid
from live
on conflict (organization_id, agent_id, thread, namespace, id) do update set
  parent_id = excluded.parent_id, run_id = excluded.run_id, content_id = excluded.content_id
returning id
