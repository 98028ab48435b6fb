-- Who was heard of within the last three beats.
select kind, host, pid, version, governed, detail, started_at, seen_at,
  extract(epoch from aos_now() - seen_at)::float8 as silent_seconds
from process
where seen_at > aos_now() - interval '15 seconds'
order by kind, started_at;
