-- Runs that ended long enough ago for their tasks to leave the hot table.
select organization_id, id from run
where finished_at < aos_now() - %(after_seconds)s * interval '1 second' and archived_at is null
order by finished_at
limit %(runs_max)s
