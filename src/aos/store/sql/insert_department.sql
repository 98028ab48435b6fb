-- Makes a department; no row where the name is taken.
insert into department (organization_id, id, name, cost_center)
values (%(organization_id)s, %(id)s, %(name)s, %(cost_center)s)
on conflict (organization_id, name) do nothing
returning id
