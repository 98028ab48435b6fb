-- Those of the given roles that cannot log in, or hold a right by which they could pass by the row policies.
select rolname from pg_roles
where rolname = any(%(roles)s)
  and (not rolcanlogin or rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication
    or pg_has_role(oid, (select datdba from pg_database where datname = current_database()), 'member'))
order by rolname
