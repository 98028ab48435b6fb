-- Marks an ended run as archived once no task of it is left, and drops its origin tokens.
with archived as (
  update run r set archived_at = aos_now()
  where r.organization_id = %(organization_id)s and r.id = %(run_id)s and r.finished_at is not null
    and not exists (select from task t where t.organization_id = r.organization_id and t.run_id = r.id)
  returning r.organization_id, r.id
), forgotten as (
  delete from origin_token o using archived a where o.organization_id = a.organization_id and o.run_id = a.id
), unlinked as (
  delete from edge e using archived a where e.organization_id = a.organization_id and e.run_id = a.id
)
select id from archived
