-- Uses a one-time link; no row where it was used, revoked or has expired.
update person_token set used_at = aos_now()
where token_hash = %(token_hash)s and kind = 'link' and used_at is null and revoked_at is null
  and expires_at > aos_now()
returning person_id
