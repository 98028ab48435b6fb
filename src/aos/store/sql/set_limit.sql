-- Sets how many tasks of an agent or queue, or calls of a tool, may be under way at once. The calls of a tool that are under
-- way already count from now on.
with marked as (
  update action a set limited = true
  from (
    -- One that is being concluded now need not be waited for.
    select x.organization_id, x.id from action x
    join tool t on t.organization_id = x.organization_id and t.id = x.tool_id
    where %(kind)s = 'tool' and t.organization_id = %(organization_id)s and t.name = %(name)s
      and x.state = 'intended' and not x.limited
    for update of x skip locked) open
  where a.organization_id = open.organization_id and a.id = open.id
)
insert into concurrency_limit as l (organization_id, id, kind, name, at_most)
values (%(organization_id)s, %(id)s, %(kind)s, %(name)s, %(at_most)s)
on conflict (organization_id, kind, name) do update set at_most = excluded.at_most, updated_at = aos_now()
  where l.at_most <> excluded.at_most
returning l.id
