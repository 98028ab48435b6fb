-- Files a signing key with its private half, sealed, as a secret.
with sealed as (
  insert into secret (organization_id, id, name, data_key_id, sealed)
  values (%(organization_id)s, %(secret_id)s, %(secret_name)s, %(data_key_id)s, %(sealed)s)
)
insert into signing_key (organization_id, id, purpose, state, public_key, secret_id)
values (%(organization_id)s, %(id)s, %(purpose)s, %(state)s, %(public_key)s, %(secret_id)s)
