-- The database's time.
select aos_now() as now
