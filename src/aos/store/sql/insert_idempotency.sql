-- Keeps an answer under its Idempotency-Key.
insert into idempotency (organization_id, principal_id, key, request_digest, status, answer_content_id)
values (%(organization_id)s, %(principal_id)s, %(key)s, %(request_digest)s, %(status)s, %(answer_content_id)s)
