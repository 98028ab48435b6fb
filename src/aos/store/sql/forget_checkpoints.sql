-- Forgets a thread of an agent, under its task's claim: its checkpoints, what was written after them, and their content.
with live as (
  select t.id from task t
  where t.organization_id = %(organization_id)s and t.id = %(task_id)s and t.claim_token = %(claim_token)s
), gone as (
  delete from checkpoint c using live
  where c.organization_id = %(organization_id)s and c.agent_id = %(agent_id)s and c.thread = %(thread)s
  returning c.content_id
), unwritten as (
  delete from checkpoint_write w using live
  where w.organization_id = %(organization_id)s and w.agent_id = %(agent_id)s and w.thread = %(thread)s
  returning w.content_id
), erased as (
  update content v set sealed = null, salt = null
  where v.organization_id = %(organization_id)s
    and v.id in (select content_id from gone union all select content_id from unwritten)
)
select id from live
