-- Marks an ended run as archived once no task of it is left, and drops its origin tokens and what its graphs kept.
with archived as (
  update run r set archived_at = aos_now()
  where r.organization_id = %(organization_id)s and r.id = %(run_id)s and r.finished_at is not null
    and not exists (select from task t where t.organization_id = r.organization_id and t.run_id = r.id)
  returning r.organization_id, r.id
), forgotten as (
  delete from origin_token o using archived a where o.organization_id = a.organization_id and o.run_id = a.id
), unlinked as (
  delete from edge e using archived a where e.organization_id = a.organization_id and e.run_id = a.id
), gone as (
  delete from checkpoint c using archived a where c.organization_id = a.organization_id and c.run_id = a.id
  returning c.organization_id, c.content_id
), unwritten as (
  delete from checkpoint_write w using archived a where w.organization_id = a.organization_id and w.run_id = a.id
  returning w.organization_id, w.content_id
), erased as (
  update content v set sealed = null, salt = null
  from (select * from gone union all select * from unwritten) g
  where v.organization_id = g.organization_id and v.id = g.content_id
)
select id from archived
