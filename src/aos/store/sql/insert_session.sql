-- Opens a person's session, by the SHA-256 of its cookie.
insert into session (id, person_id, token_hash, issuer_id, organization_id, expires_at)
values (%(id)s, %(person_id)s, %(token_hash)s, %(issuer_id)s, %(organization_id)s,
  aos_now() + %(seconds)s * interval '1 second')
returning created_at, expires_at
