-- A person's credential opens the organization that issued it and those that its holder founded with it, no others.

alter table person_token add column issuer_id uuid references organization;
alter table session add column issuer_id uuid references organization;
alter table member add column founded_from_id uuid references organization;

-- What stands: issued by the person's first organization; an organization's first member founded it from there.
update person_token t set issuer_id =
  (select m.organization_id from member m where m.person_id = t.person_id order by m.id limit 1);
update session s set issuer_id =
  (select m.organization_id from member m where m.person_id = s.person_id order by m.id limit 1);
delete from person_token where issuer_id is null;
delete from session where issuer_id is null;
update member m set founded_from_id = f.organization_id
from member f
where f.person_id = m.person_id
  and f.id = (select min(a.id::text)::uuid from member a where a.person_id = m.person_id)
  and m.id = (select min(a.id::text)::uuid from member a where a.organization_id = m.organization_id)
  and f.organization_id <> m.organization_id;

alter table person_token alter column issuer_id set not null;
alter table session alter column issuer_id set not null;
