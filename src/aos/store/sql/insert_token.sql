-- Files a person's token or one-time link, by its SHA-256.
insert into person_token (id, person_id, issuer_id, kind, label, token_hash, expires_at)
values (%(id)s, %(person_id)s, %(issuer_id)s, %(kind)s, %(label)s, %(token_hash)s,
  aos_now() + %(seconds)s * interval '1 second')
returning created_at, expires_at
