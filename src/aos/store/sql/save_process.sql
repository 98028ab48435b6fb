-- One beat of a process; whoever beats removes what has been silent for an hour.
with silent as (
  delete from process where seen_at < aos_now() - interval '1 hour' and id <> %(id)s
)
insert into process (id, kind, host, pid, version, governed, detail)
values (%(id)s, %(kind)s, %(host)s, %(pid)s, %(version)s, %(governed)s, %(detail)s)
on conflict (id) do update set governed = excluded.governed, detail = excluded.detail, seen_at = aos_now();
