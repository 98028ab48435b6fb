-- Takes the log of one organization that has records waiting, unless another integrator holds it: the one whose turn was
-- longest ago, so that an organization that always has more to place keeps nobody else waiting.
select h.organization_id, h.size, h.peaks
from ledger_head h
where (%(organization_id)s::uuid is null or h.organization_id = %(organization_id)s)
  and exists (select 1 from ledger_pending p where p.organization_id = h.organization_id)
order by h.signed_at nulls first, h.organization_id
limit 1
for update of h skip locked
