-- Row-level security stands on every tenant table from the first. Policies and rights follow from `rights.sql`, which
-- names the two roles of this database; until it has run nobody but the owner sees anything.

revoke all on all tables in schema public from public;
revoke create on schema public from public;

do $$
declare
  t text;
begin
  for t in
    select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'organization_id'
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
      and c.relname <> 'session'
  loop
    execute format('alter table %I enable row level security', t);
  end loop;
end
$$;
