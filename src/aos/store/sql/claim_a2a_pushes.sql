-- Looks at the notifications whose time has come, and takes those whose task is in another phase than was told last. Another
-- worker leaves them alone for a while; who dies with one leaves it to be told again. One at which nothing has changed is looked
-- at again after a pause that grows to 5 s. `stands` is whether the task's sender still belongs here.
with looked as materialized (
  select p.organization_id, p.task_id, p.id, p.sent_phase, p.next_at
  from a2a_push p
  where p.state = 'active' and p.next_at <= aos_now()
  order by p.next_at
  limit %(looks)s
  for update skip locked
),
seen as (
  select l.organization_id, l.task_id, l.id, l.next_at, t.principal_id, t.phase, t.phase is distinct from l.sent_phase as changed
  from looked l
  join a2a_task_now t on t.organization_id = l.organization_id and t.id = l.task_id
),
taken as (
  select s.*, row_number() over (partition by s.changed order by s.next_at) as place from seen s
),
moved as (
  update a2a_push p set
    next_at = aos_now() + interval '1 second' * case when d.changed then %(lease_seconds)s else least(5, 0.5 * 2 ^ least(p.quiet, 10)) end,
    quiet = case when d.changed then 0 else p.quiet + 1 end,
    tries = p.tries + d.changed::int
  from taken d
  where p.organization_id = d.organization_id and p.task_id = d.task_id and p.id = d.id
    and (d.place <= %(limit)s or not d.changed)
  returning p.organization_id, p.task_id, p.id, d.phase, d.principal_id, d.changed, p.tries, p.config_content_id
)
select m.organization_id, m.task_id, m.id, m.phase, m.tries, m.config_content_id,
  exists (select from agent a where a.organization_id = m.organization_id and a.id = m.principal_id
          and a.status not in ('retired', 'quarantined'))
  or exists (select from member b where b.organization_id = m.organization_id and b.person_id = m.principal_id) as stands
from moved m
where m.changed
