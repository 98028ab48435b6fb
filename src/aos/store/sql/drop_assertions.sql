-- Forgets used assertions that nobody would accept any more, in bounded steps.
with old as (
  select organization_id, agent_id, jti_hash from used_assertion
  where expires_at < aos_now() - interval '1 minute'
  order by expires_at
  limit %(rows_max)s
)
delete from used_assertion u using old o
where u.organization_id = o.organization_id and u.agent_id = o.agent_id and u.jti_hash = o.jti_hash
returning u.agent_id
