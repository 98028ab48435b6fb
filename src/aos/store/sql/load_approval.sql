-- One approval with what the approver is shown.
select a.id as approval_id, a.action_id, a.act_kind, a.act_name, a.digest, a.agent_id, a.chain, a.run_id, a.task_id,
  a.call_key, a.rules, a.approver_role, a.roles_left, a.answers, a.quorum, a.status, a.answered_by, a.answer_content_id, a.answered_at,
  a.expires_at, a.created_at, a.expires_at <= aos_now() as is_over, c.organization_id, c.id, c.data_key_id, c.sealed
from approval a
left join content c on c.organization_id = a.organization_id and c.id = a.shown_content_id
where a.organization_id = %(organization_id)s and a.id = %(approval_id)s
