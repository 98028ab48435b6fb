-- Opens a change of the registry: raises the epoch under which every process caches facts, and rings the bell.
update organization set epoch = epoch + 1 where id = %(organization_id)s
returning epoch, aos_now() as now, pg_notify('aos_epoch', id::text)
