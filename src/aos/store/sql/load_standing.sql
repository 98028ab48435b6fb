-- How one organization and the installation stand now, for the head of every page: the database's time, what waits for a
-- person, and the processes heard of lately with what their canary acts showed.
select aos_now() as now, s.environment, s.currency, s.timezone,
  (select count(*) from approval a
    where a.organization_id = %(organization_id)s and a.status = 'pending' and a.expires_at > aos_now()) as approvals,
  (select coalesce(jsonb_agg(jsonb_build_object('kind', p.kind, 'governed', p.governed,
      'failures', coalesce(p.detail -> 'failures', '[]')) order by p.kind, p.id), '[]')
    from process p where p.seen_at > aos_now() - %(seconds)s * interval '1 second') as processes
from organization_settings s
where s.organization_id = %(organization_id)s
