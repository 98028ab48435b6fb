-- What the server says of itself; connections are those that a login without special rights may take.
select
  current_setting('server_version') as version,
  current_database() as database,
  current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
    - coalesce(current_setting('reserved_connections', true)::integer, 0) as connections,
  statement_timestamp() as now,
  exists (select from pg_available_extensions where name = 'vector') as has_vector,
  exists (select from pg_available_extensions where name = 'timescaledb') as has_timescale,
  session_user::text as login,
  pg_has_role(session_user, d.datdba, 'member') as owns,
  (select r.rolcreaterole or r.rolsuper from pg_roles r where r.rolname = session_user) as may_create_roles
from pg_database d
where d.datname = current_database();
