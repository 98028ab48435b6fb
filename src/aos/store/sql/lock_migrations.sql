-- One process migrates a database at a time; held until the connection ends.
select pg_advisory_lock(hashtext('aos_migrations'))
