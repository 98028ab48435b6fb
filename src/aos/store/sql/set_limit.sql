-- Sets how many tasks of an agent or queue, or calls of a tool or model, may be under way at once. The calls of a tool or model
-- that are under way already count from now on.
with marked as (
  update action a set limited = true
  from (
    -- One that is being concluded now need not be waited for.
    select x.organization_id, x.id from action x
    where %(kind)s in ('tool', 'model') and x.organization_id = %(organization_id)s and x.kind = %(kind)s
      and x.name = %(name)s and x.state = 'intended' and not x.limited
    for update of x skip locked) open
  where a.organization_id = open.organization_id and a.id = open.id
)
insert into concurrency_limit as l (organization_id, id, kind, name, at_most)
values (%(organization_id)s, %(id)s, %(kind)s, %(name)s, %(at_most)s)
on conflict (organization_id, kind, name) do update set at_most = excluded.at_most, updated_at = aos_now()
  where l.at_most <> excluded.at_most
returning l.id
