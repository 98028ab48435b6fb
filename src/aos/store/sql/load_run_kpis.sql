-- The newest reports of a run's KPIs, newest first, with their sealed words.
select r.id, c.organization_id, c.id as content_id, c.data_key_id, c.sealed
from report r
join content c on c.organization_id = r.organization_id and c.id = r.content_id
where r.organization_id = %(organization_id)s and r.run_id = %(run_id)s and r.kind = 'kpi'
order by r.id desc
limit %(limit)s
