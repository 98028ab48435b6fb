-- Locks the limits of the tools and models that a batch calls, in one fixed order: after claims and approvals, before budget accounts.
-- What is under way is counted by the next statement, which sees what was written until the locks were held.
with wanted as (
  select distinct organization_id, kind, name
  from json_to_recordset(%(turns)s::json) as t(organization_id uuid, kind text, name text)
)
select c.organization_id, c.kind, c.name, c.at_most
from wanted w
join concurrency_limit c on c.organization_id = w.organization_id and c.kind = w.kind and c.name = w.name
order by c.organization_id, c.kind, c.name for update of c
