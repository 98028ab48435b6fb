-- One row where the role exists.
select rolname from pg_roles where rolname = %(role)s
