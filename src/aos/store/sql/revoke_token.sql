-- Revokes one of a person's tokens of one issuer; no row where there is none, or it is revoked.
update person_token set revoked_at = aos_now()
where id = %(id)s and person_id = %(person_id)s and issuer_id = %(issuer_id)s and revoked_at is null
returning id
