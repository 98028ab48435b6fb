-- When the next schedule is due that is not due yet.
select aos_now() as now,
  (select next_at from schedule where enabled and retired_at is null and next_at > aos_now()
    order by next_at limit 1) as next_at
