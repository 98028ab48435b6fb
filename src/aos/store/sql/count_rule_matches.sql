-- How often each rule matched in the last days, by what became of the acts.
select m.rule ->> 'id' as id, count(*) as matches,
  count(*) filter (where a.state = 'refused') as refused,
  count(*) filter (where a.state = 'waiting') as waiting,
  max(a.intended_at) as last_at
from action a
cross join lateral jsonb_array_elements(a.rules) as m(rule)
where a.organization_id = %(organization_id)s and a.id >= aos_uuid_floor(aos_now() - %(days)s * interval '1 day')
group by 1
