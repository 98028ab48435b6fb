-- Takes the signed id of a message, once while keys are kept. No row where it was taken before.
insert into idempotency (organization_id, principal_id, key, request_digest, status)
values (%(organization_id)s, %(principal_id)s, %(key)s, %(digest)s, 200)
on conflict (organization_id, principal_id, key) do nothing
returning key
