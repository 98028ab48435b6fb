-- The ids behind the names that an agent is registered with; null where there is none in this organization.
select
  (select p.id from person p join member m on m.person_id = p.id and m.organization_id = %(organization_id)s
    where p.email = lower(%(owner)s)) as owner_id,
  (select d.id from department d
    where d.organization_id = %(organization_id)s and d.name = %(department)s) as department_id
