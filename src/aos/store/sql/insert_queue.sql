-- Makes a queue; no row where the name is taken.
insert into concurrency_limit (organization_id, id, kind, name, at_most)
values (%(organization_id)s, %(id)s, 'queue', %(name)s, %(at_most)s)
on conflict (organization_id, kind, name) do nothing
returning id
