-- Revokes one of a person's tokens; no row where there is none, or it is revoked.
update person_token set revoked_at = aos_now()
where id = %(id)s and person_id = %(person_id)s and revoked_at is null
returning id
