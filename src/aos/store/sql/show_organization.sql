-- One organization with its settings.
select o.id, o.name, o.epoch, s.currency, s.timezone, s.environment, s.rates, s.run_clock_allowed
from organization o join organization_settings s on s.organization_id = o.id
where o.id = %(organization_id)s
