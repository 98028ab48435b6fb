-- Puts a version of a workflow that waits in force; no row where a later version is. A retired workflow comes back.
update workflow w set version = v.version, retired_at = null
from workflow_version v
where w.organization_id = %(organization_id)s and w.id = %(id)s
  and v.organization_id = w.organization_id and v.workflow_id = w.id and v.version = %(version)s and v.version > w.version
returning v.digest
