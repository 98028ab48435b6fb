-- Puts a version of a purpose that waits in force; no row where a later version is. A retired purpose comes back.
update purpose p set version = v.version, updated_at = aos_now(), retired_at = null
from purpose_version v
where p.organization_id = %(organization_id)s and p.id = %(id)s
  and v.organization_id = p.organization_id and v.purpose_id = p.id and v.version = %(version)s and v.version > p.version
returning v.digest
