-- Locks the tasks that wait for one source, in the order of all task locks.
select t.organization_id, t.id
from edge e
join task t on t.organization_id = e.organization_id and t.id = e.target_id
where e.organization_id = %(organization_id)s and e.source_id = %(source_id)s
order by t.organization_id, t.id for update of t
