-- Locks approvals in one fixed order, after the tasks that wait for them.
select a.organization_id, a.id
from approval a
join (
  select distinct organization_id, id
  from json_to_recordset(%(approvals)s::json) as w(organization_id uuid, id uuid)
) w on a.organization_id = w.organization_id and a.id = w.id
order by a.organization_id, a.id for update of a
