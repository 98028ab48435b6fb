-- Puts a version of a model that waits in force; no row where a later version is. A retired model comes back.
update model m set version = v.version, updated_at = aos_now(), retired_at = null
from model_version v
where m.organization_id = %(organization_id)s and m.id = %(id)s
  and v.organization_id = m.organization_id and v.model_id = m.id and v.version = %(version)s and v.version > m.version
returning v.digest
