-- The organizations that a person belongs to, newest membership first.
select o.id, o.name, o.epoch, s.currency, s.timezone, s.environment, s.run_clock_allowed, m.roles,
  m.created_at
from member m
join organization o on o.id = m.organization_id
join organization_settings s on s.organization_id = o.id
where m.person_id = %(person_id)s
order by m.id desc
limit 1000
