-- Withdraws a task that has not begun, with the approval that its start waits for.
with withdrawn as (
  update a2a_task t set ended = 'withdrawn', updated_at = aos_now()
  where t.organization_id = %(organization_id)s and t.id = %(id)s and t.run_id is null and t.ended is null
  returning t.organization_id, t.id, t.approval_id
), expired as (
  update approval a set status = 'expired'
  from withdrawn w
  where a.organization_id = w.organization_id and a.id = w.approval_id and a.status in ('pending', 'approved')
  returning a.organization_id, a.action_id
), refused as (
  update action a set state = 'refused', error_code = 'cancelled', concluded_at = aos_now()
  from expired e
  where a.organization_id = e.organization_id and a.id = e.action_id and a.state = 'waiting'
)
select id from withdrawn
