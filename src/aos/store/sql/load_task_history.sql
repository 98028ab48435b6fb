-- What the calls of claimed tasks came to, in the order in which it was recorded, with the content of the outcomes: of
-- one that a policy refused, the decision.
select k.organization_id as task_organization_id, k.task_id, k.key, k.attempt, k.tries, k.kind, k.name, k.effect, k.state,
  coalesce(k.seq, 0) as seq, k.action_id, a.error_code, c.organization_id, c.id, c.data_key_id, c.sealed
from json_to_recordset(%(tasks)s::json) as w(organization_id uuid, id uuid)
join call k on k.organization_id = w.organization_id and k.task_id = w.id
left join action a on a.organization_id = k.organization_id and a.id = k.action_id
left join content c on c.organization_id = k.organization_id
  and c.id = coalesce(k.outcome_content_id, case k.state when 'refused' then a.decision_content_id end)
order by k.seq nulls last
