-- A page of approvals, each with what the approver is shown, sealed, and what was answered. One whose time is over counts
-- as expired, whether or not that is written yet.
select a.id, a.action_id, a.act_kind, a.act_name, x.effect, a.digest, g.name as agent, a.chain, a.run_id, r.name as run,
  a.task_id, coalesce(t.label, f.label) as task_label, a.rules, a.approver_role, a.roles_left, a.quorum,
  (select coalesce(jsonb_agg(jsonb_build_object('email', p.email, 'roles', e.answer->'roles', 'at', e.answer->'at')
      order by e.place), '[]')
    from jsonb_array_elements(a.answers) with ordinality as e(answer, place)
    left join person p on p.id = (e.answer->>'person_id')::uuid) as answers,
  case when a.status in ('pending', 'approved') and a.expires_at <= aos_now() then 'expired' else a.status end as status,
  a.shown_content_id, a.answer_content_id, h.email as answered_by, a.answered_at, a.expires_at, a.created_at,
  a.used_by_action_id
from approval a
left join agent g on g.organization_id = a.organization_id and g.id = a.agent_id
left join run r on r.organization_id = a.organization_id and r.id = a.run_id
left join task t on t.organization_id = a.organization_id and t.id = a.task_id
left join task_finished f on f.organization_id = a.organization_id and f.id = a.task_id
left join action x on x.organization_id = a.organization_id and x.id = a.action_id
left join person h on h.id = a.answered_by
where a.organization_id = %(organization_id)s
  and (%(id)s::uuid is null or a.id = %(id)s)
  and (%(name)s::text is null or a.act_name = %(name)s)
  and (%(run)s::uuid is null or a.run_id = %(run)s)
  and (%(status)s::text is null or %(status)s =
       case when a.status in ('pending', 'approved') and a.expires_at <= aos_now() then 'expired' else a.status end)
  and (%(status)s::text is distinct from 'pending' or a.status = 'pending')
  and (%(from)s::timestamptz is null or a.created_at >= %(from)s)
  and (%(to)s::timestamptz is null or a.created_at < %(to)s)
  and (%(after_id)s::uuid is null or case when %(descending)s then a.id < %(after_id)s else a.id > %(after_id)s end)
  and (%(after_name)s::text is null
       or case when %(descending)s then a.act_name < %(after_name)s else a.act_name > %(after_name)s end)
order by case when %(by_name)s and not %(descending)s then a.act_name end,
  case when %(by_name)s and %(descending)s then a.act_name end desc,
  case when not %(descending)s then a.id end, case when %(descending)s then a.id end desc
limit %(limit)s
