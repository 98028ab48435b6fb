-- A signed checkpoint of the log at one size.
select c.size, c.note, c.signed_at from ledger_checkpoint c
where c.organization_id = %(organization_id)s and c.size = %(size)s
