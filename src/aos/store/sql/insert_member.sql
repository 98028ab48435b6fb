-- Makes a person a member with roles; no row where they are one already.
insert into member (organization_id, id, person_id, roles, founded_from_id)
values (%(organization_id)s, %(id)s, %(person_id)s, %(roles)s::text[], %(founded_from_id)s::uuid)
on conflict (organization_id, person_id) do nothing
returning id
