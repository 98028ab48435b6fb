-- Limits what one task may cost, once, while its claim stands.
insert into budget (organization_id, id, name, scope, scope_id, currency, limit_nanos, period)
select t.organization_id, %(id)s, 'task ' || t.id || ' by its agent', 'task', t.id, %(currency)s, %(limit_nanos)s, 'total'
from task t
where t.organization_id = %(organization_id)s and t.id = %(task_id)s and t.claim_token = %(claim_token)s
on conflict (organization_id, name) do nothing
