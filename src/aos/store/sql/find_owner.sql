-- The database this login is connected to, and what it may do there.
select d.datname as database, d.oid::int as oid, current_user::text as login,
  pg_has_role(current_user, d.datdba, 'member') as owns, r.rolcreaterole or r.rolsuper as may_create
from pg_database d join pg_roles r on r.rolname = current_user
where d.datname = current_database()
