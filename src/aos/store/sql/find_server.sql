-- What the server says of itself; connections are those that a login without special rights may take.
select
  current_setting('server_version') as version,
  current_database() as database,
  current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
    - coalesce(current_setting('reserved_connections', true)::integer, 0) as connections,
  statement_timestamp() as now,
  exists (select from pg_available_extensions where name = 'vector') as has_vector,
  exists (select from pg_available_extensions where name = 'timescaledb') as has_timescale;
