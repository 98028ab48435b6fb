-- Puts a version of a tool that waits in force; no row where a later version is. A retired tool comes back.
update tool t set version = v.version, updated_at = aos_now(), retired_at = null
from tool_version v
where t.organization_id = %(organization_id)s and t.id = %(id)s
  and v.organization_id = t.organization_id and v.tool_id = t.id and v.version = %(version)s and v.version > t.version
returning v.digest
