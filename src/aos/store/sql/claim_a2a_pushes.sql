-- Takes notifications that are due: whose task is in another phase than was told last. Another worker leaves them alone for
-- a while; who dies with one leaves it to be told again. `stands` is whether the task's sender still belongs here.
with due as (
  select p.organization_id, p.task_id, p.id, t.phase,
    exists (select from agent a where a.organization_id = t.organization_id and a.id = t.principal_id
            and a.status not in ('retired', 'quarantined'))
    or exists (select from member m where m.organization_id = t.organization_id and m.person_id = t.principal_id) as stands
  from a2a_push p
  join a2a_task_now t on t.organization_id = p.organization_id and t.id = p.task_id
  where p.state = 'active' and p.next_at <= aos_now() and t.phase is distinct from p.sent_phase
  order by p.next_at
  limit %(limit)s
  for update of p skip locked
)
update a2a_push p set next_at = aos_now() + %(lease_seconds)s * interval '1 second', tries = p.tries + 1
from due d
where p.organization_id = d.organization_id and p.task_id = d.task_id and p.id = d.id
returning p.organization_id, p.task_id, p.id, d.phase, d.stands, p.tries, p.config_content_id
