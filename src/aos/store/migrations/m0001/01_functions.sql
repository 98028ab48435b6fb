-- What every table rests on: one clock, day bounds of UUIDv7, and partitions made ahead.

-- The database's clock, the only one SQL reads. Tests of time connect as aos_test, a role that only test databases have.
create function aos_now() returns timestamptz language sql stable as $$
  select case when session_user = 'aos_test' and coalesce(current_setting('aos.now', true), '') <> ''
              then current_setting('aos.now')::timestamptz
              else statement_timestamp() end
$$;

-- The smallest UUIDv7 of a moment: 48 bits of milliseconds, then zeros (RFC 9562 section 5.7).
create function aos_uuid_floor(moment timestamptz) returns uuid language sql immutable as $$
  select (lpad(to_hex((extract(epoch from moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- The organization of this transaction; null where none is set, so that nothing is seen.
create function aos_organization() returns uuid language sql stable as $$
  select nullif(current_setting('aos.organization', true), '')::uuid
$$;
