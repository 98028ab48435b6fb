-- Makes this session the one that does what one of many processes shall do, where no other session is it already. The lead
-- ends with the session; a session whose process says nothing for `idle_seconds` is ended by the server.
select set_config('idle_session_timeout', (%(idle_seconds)s * 1000)::int::text, false) as idle,
  pg_try_advisory_lock(hashtextextended(%(name)s, 0)) as leads
