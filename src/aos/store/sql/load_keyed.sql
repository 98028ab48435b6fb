-- What is recorded under an Idempotency-Key, or under an approval that the caller names, outside a run or by a
-- door in the same task: an approval is its actor's alone, one of a call is found by its key, and the newest of an act counts.
select i.request_digest, i.status, a.id as action_id, a.state, a.error_code, a.digest, a.intended_at,
  p.id as approval_id, p.status as approval_status, p.digest as approval_digest, p.rules as approval_rules,
  p.expires_at > aos_now() as approval_stands, p.idempotency_key,
  k.organization_id, k.id, k.data_key_id, k.sealed
from (select 1) one
left join idempotency i on i.organization_id = %(organization_id)s and i.principal_id = %(principal_id)s
  and i.key = %(key)s
left join approval p on p.organization_id = %(organization_id)s
  and (p.id = %(approval_id)s or (%(approval_id)s::uuid is null and p.action_id = i.action_id))
  and (p.run_id is null or (p.task_id = %(task_id)s and p.call_key is null)) and (p.chain -> -1 ->> 'id')::uuid = %(principal_id)s
left join action a on a.organization_id = %(organization_id)s and a.id = coalesce(p.action_id, i.action_id)
left join content k on k.organization_id = a.organization_id and k.id = a.outcome_content_id
order by p.id desc nulls last
limit 1
