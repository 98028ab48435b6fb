-- What was answered under an Idempotency-Key.
select i.request_digest, i.status, c.organization_id, c.id, c.data_key_id, c.sealed
from idempotency i
left join content c on c.organization_id = i.organization_id and c.id = i.answer_content_id
where i.organization_id = %(organization_id)s and i.principal_id = %(principal_id)s and i.key = %(key)s
