-- What is recorded of one action, whatever it was asked under.
select a.id as action_id, a.state, a.error_code, k.organization_id, k.id, k.data_key_id, k.sealed
from action a
left join content k on k.organization_id = a.organization_id and k.id = a.outcome_content_id
where a.organization_id = %(organization_id)s and a.id = %(action_id)s
