-- A workflow by name at the version in force.
select w.id, w.name, w.version, v.spec::text as spec
from workflow w
join workflow_version v on v.organization_id = w.organization_id and v.workflow_id = w.id and v.version = w.version
where w.organization_id = %(organization_id)s and w.name = %(name)s and w.retired_at is null
