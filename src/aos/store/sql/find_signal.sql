-- The signal that was sent to a run under a key, with what was sent.
select s.id, s.name, s.created_at, s.taken_by is not null as taken, a.digest
from signal s
join action a on a.organization_id = s.organization_id and a.id = s.action_id
where s.organization_id = %(organization_id)s and s.run_id = %(run_id)s and s.key = %(key)s
