-- Schedules whose time has come, each with its owner's roles now, its sealed input, whether its run before is open, and
-- the time for which a person was asked about a start of it that has not happened.
select s.organization_id, s.id, s.name, s.target_kind, s.target, s.cron, s.timezone, s.goal, s.labels, s.priority,
  s.catch_up, s.overlap, s.next_at, s.asked_at, s.last_run_id, s.owner_id, p.email as owner, m.roles, aos_now() as now,
  coalesce(r.state in ('running', 'paused'), false) as is_open, c.id as content_id, c.data_key_id, c.sealed
from schedule s
join person p on p.id = s.owner_id
left join member m on m.organization_id = s.organization_id and m.person_id = s.owner_id
left join run r on r.organization_id = s.organization_id and r.id = s.last_run_id
left join content c on c.organization_id = s.organization_id and c.id = s.input_content_id
where s.enabled and s.retired_at is null and s.next_at <= aos_now() and s.id <> all(%(passed_over)s::uuid[])
order by s.next_at
limit %(schedules_max)s
