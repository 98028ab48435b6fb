-- A day each, seven days ahead; a default partition catches what no day covers, and an alert says so.

create table partitioned (
  name text primary key
);
insert into partitioned values ('action'), ('record'), ('content'), ('usage_event'), ('task_finished'), ('span');

-- Makes the partitions of `days` days from `first`, where they do not exist; returns how many it made.
-- Owned by the owner of the tables and run with its rights: no running process may create tables.
create function aos_make_partitions(first date, days integer) returns integer
language plpgsql security definer set search_path = pg_catalog, public as $$
declare
  parent text;
  day date;
  made integer := 0;
begin
  if days < 1 or days > 400 then
    raise exception 'days must lie between 1 and 400';
  end if;
  perform pg_advisory_xact_lock(hashtext('aos_make_partitions'));
  for parent in select name from public.partitioned loop
    for day in select generate_series(first, first + days - 1, interval '1 day')::date loop
      if to_regclass(format('public.%I', parent || '_' || to_char(day, 'YYYYMMDD'))) is null then
        execute format('create table public.%I partition of public.%I for values from (%L) to (%L)',
          parent || '_' || to_char(day, 'YYYYMMDD'), parent,
          public.aos_uuid_floor(day::timestamp at time zone 'UTC'),
          public.aos_uuid_floor((day + 1)::timestamp at time zone 'UTC'));
        made := made + 1;
      end if;
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
