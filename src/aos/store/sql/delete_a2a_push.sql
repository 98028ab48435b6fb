-- Stops notifications of a task to one address, and forgets the address.
with deleted as (
  update a2a_push p set state = 'deleted'
  where p.organization_id = %(organization_id)s and p.task_id = %(task_id)s and p.id = %(id)s and p.state <> 'deleted'
  returning p.organization_id, p.config_content_id
), erased as (
  update content c set sealed = null, salt = null
  from deleted d where c.organization_id = d.organization_id and c.id = d.config_content_id
)
select config_content_id from deleted
