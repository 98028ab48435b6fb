-- Makes waiting tasks ready whose time has come, whatever else they wait for; one that another transaction holds is left
-- to the next look. Returns how many, and in how many seconds the next one is due.
with due as (
  select organization_id, id from task
  where state = 'waiting' and wake_at <= aos_now()
  order by wake_at
  limit %(tasks_max)s for update skip locked
), woken as (
  update task t set state = 'ready', ready_at = aos_now(), blockers = 0, wake_at = null
  from due d
  where t.organization_id = d.organization_id and t.id = d.id
  returning t.paused
)
select (select count(*) from woken)::int as woken,
  (select extract(epoch from wake_at - aos_now())::float8 from task
    where state = 'waiting' and wake_at > aos_now() order by wake_at limit 1) as next_seconds,
  (select pg_notify('aos_ready', '') where exists (select from woken where not paused)) as bell
