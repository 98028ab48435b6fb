-- Ends a session by the SHA-256 of its cookie; no row where it has ended already.
update session set ended_at = aos_now() where token_hash = %(token_hash)s and ended_at is null returning id
