-- Whether anybody ever signed in, and the administrator who was filed first; the owner sees every organization's members.
select
  exists (select from person_token where kind = 'personal' or used_at is not null) or exists (select from session)
    as signed_in,
  exists (select from organization) as has_organization,
  (select person_id from member where 'admin' = any (roles) order by id limit 1) as administrator,
  (select organization_id from member where 'admin' = any (roles) order by id limit 1) as organization_id;
