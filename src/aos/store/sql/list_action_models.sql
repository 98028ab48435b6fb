-- The models that an act used, a row for each usage event, in the order in which they were asked. Usage events have no index by action: they lie near
-- the act's own times, by a clock that may differ by a minute.
select e.name
from usage_event e
where e.organization_id = %(organization_id)s and e.action_id = %(action_id)s and e.name <> ''
  and e.id >= aos_uuid_floor(%(from)s::timestamptz - interval '1 minute')
  and e.id < aos_uuid_floor(%(to)s::timestamptz + interval '1 minute')
order by e.id
