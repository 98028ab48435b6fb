-- The organization's currency, in which everything is charged since it was set.
select currency from organization_settings where organization_id = %(organization_id)s
