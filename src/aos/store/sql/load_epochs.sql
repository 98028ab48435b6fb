-- The epoch of every organization and the database's time: what every process reads at least once a second.
select id, epoch, aos_now() as now from organization
