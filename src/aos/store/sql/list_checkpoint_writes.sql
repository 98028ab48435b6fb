-- What the nodes of a graph wrote after some checkpoints of one thread.
select w.namespace, w.checkpoint_id, w.writer, w.slot, v.organization_id, v.id, v.data_key_id, v.sealed
from checkpoint_write w
join content v on v.organization_id = w.organization_id and v.id = w.content_id
where w.organization_id = %(organization_id)s and w.agent_id = %(agent_id)s and w.thread = %(thread)s
  and w.checkpoint_id = any(%(checkpoint_ids)s::text[])
order by w.writer, w.slot
