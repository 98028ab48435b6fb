-- A day each, seven days ahead; a default partition catches what no day covers, and an alert says so.

create table partitioned (
  name text primary key
);
insert into partitioned values ('action'), ('record'), ('content'), ('usage_event'), ('task_finished'), ('span');

-- Makes the partitions of `days` days from `first`, where they do not exist; returns how many it made. Rows of such a
-- day that the default partition caught meanwhile are moved into their own.
-- Owned by the owner of the tables and run with its rights: no running process may create tables.
create function aos_make_partitions(first date, days integer) returns integer
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  parent text;
  day date;
  part text;
  low uuid;
  high uuid;
  made integer := 0;
begin
  if days < 1 or days > 400 then
    raise exception 'days must lie between 1 and 400';
  end if;
  perform pg_advisory_xact_lock(hashtext('aos_make_partitions'));
  for parent in select name from public.partitioned order by name loop
    for day in select generate_series(first, first + days - 1, interval '1 day')::date loop
      part := parent || '_' || to_char(day, 'YYYYMMDD');
      continue when to_regclass(format('public.%I', part)) is not null;
      low := public.aos_uuid_floor(day::timestamp at time zone 'UTC');
      high := public.aos_uuid_floor((day + 1)::timestamp at time zone 'UTC');
      begin
        execute format('create table public.%I partition of public.%I for values from (%L) to (%L)',
          part, parent, low, high);
      exception when check_violation then
        execute format('create table public.%I (like public.%I including defaults including constraints)',
          part, parent);
        execute format('with moved as (delete from public.%I where id >= %L and id < %L returning *)'
          ' insert into public.%I select * from moved', parent || '_default', low, high, part);
        execute format('alter table public.%I attach partition public.%I for values from (%L) to (%L)',
          parent, part, low, high);
      end;
      made := made + 1;
    end loop;
  end loop;
  return made;
end
$$;
revoke execute on function aos_make_partitions(date, integer) from public;

do $$
declare
  parent text;
begin
  for parent in select name from partitioned loop
    execute format('create table %I partition of %I default', parent || '_default', parent);
  end loop;
end
$$;
select aos_make_partitions((aos_now() at time zone 'UTC')::date - 1, 9);
