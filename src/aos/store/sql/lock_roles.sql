-- One process makes roles and rights at a time; held until the transaction ends.
select pg_advisory_xact_lock(hashtext('aos_roles'))
