-- The organization's data keys, wrapped.
select id, key_encryption_key, wrapped, state from data_key where organization_id = %(organization_id)s
