-- Takes a limit away; no row where there is none.
delete from concurrency_limit
where organization_id = %(organization_id)s and kind = %(kind)s and name = %(name)s
returning id
