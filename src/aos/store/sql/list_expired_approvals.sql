-- Approvals that nobody answered in time, or that were given and not used.
select organization_id, id, action_id, run_id, task_id, act_kind, act_name, status
from approval
where status in ('pending', 'approved') and expires_at <= aos_now()
order by expires_at
limit %(approvals_max)s
