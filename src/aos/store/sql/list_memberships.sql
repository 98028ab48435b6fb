-- The organizations of a person that one issuer's credentials open, newest membership first.
select o.id, o.name, o.epoch, s.currency, s.timezone, s.environment, s.run_clock_allowed, m.roles,
  m.created_at
from member m
join organization o on o.id = m.organization_id
join organization_settings s on s.organization_id = o.id
where m.person_id = %(person_id)s
  and (m.organization_id = %(issuer_id)s or m.founded_from_id = %(issuer_id)s)
order by m.id desc
limit 1000
