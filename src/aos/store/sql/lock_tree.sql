-- Has those take turns who start runs within one outermost run that has nearly as many as may be open.
select pg_advisory_xact_lock(hashtextextended('tree:' || %(root_run_id)s::uuid, 0))
