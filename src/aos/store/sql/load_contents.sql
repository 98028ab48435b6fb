-- Pieces of content, sealed; what was erased, or is longer than asked for, comes without its bytes.
select organization_id, id, data_key_id, length(sealed) > %(bytes_max)s as is_long,
  case when length(sealed) <= %(bytes_max)s then sealed end as sealed
from content
where organization_id = %(organization_id)s and id = any(%(ids)s::uuid[])
