-- Writes pieces of encrypted content.
insert into content (organization_id, id, purpose, data_key_id, salt, sealed, erase_after)
select organization_id, id, purpose, data_key_id, salt, sealed, erase_after
from json_to_recordset(%(contents)s::json) as c(organization_id uuid, id uuid, purpose text, data_key_id uuid,
  salt bytea, sealed bytea, erase_after timestamptz)
