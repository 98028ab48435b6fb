-- Three roles. The owner migrates. {app} sees the rows of the transaction's organization. {machine} sees every
-- organization's rows, through a listed set of statements. Neither bypasses row-level security, neither owns anything.
--
-- Not a migration: run whole, in one transaction, each time AOS starts. Role names carry the database's oid, so a
-- database that was cloned, renamed or restored elsewhere gets its rights back here; running it again changes nothing.

-- What a copied database brought along: rights of the roles of the database it was copied from, and our own of before.
do $$
declare
  r record;
  o record;
begin
  for r in
    select rolname from pg_roles
    where rolname ~ '^aos_[0-9]+_(app|machine)$'
      and (rolname in ('{app}', '{machine}') or exists (
        select from pg_shdepend d where d.refobjid = pg_roles.oid and d.refclassid = 'pg_authid'::regclass
          and d.deptype = 'a' and d.dbid = (select oid from pg_database where datname = current_database())))
  loop
    begin
      execute format('revoke all on all tables in schema public from %I', r.rolname);
      execute format('revoke all on all sequences in schema public from %I', r.rolname);
      execute format('revoke all on all functions in schema public from %I', r.rolname);
    exception when insufficient_privilege then
      -- Somebody else's extension lives in the schema (pg_stat_statements often does): what is not ours is left alone.
      for o in
        select case when c.relkind = 'S' then 'sequence' else 'table' end as kind, c.oid::regclass::text as name from pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'S')
          and pg_has_role(c.relowner, 'usage')
        union all
        select 'routine', p.oid::regprocedure::text from pg_proc p
        where p.pronamespace = 'public'::regnamespace and pg_has_role(p.proowner, 'usage')
      loop
        execute format('revoke all on %s %s from %I', o.kind, o.name, r.rolname);
      end loop;
    end;
    execute format('revoke all on schema public from %I', r.rolname);
  end loop;
  execute format('grant connect, temporary on database %I to {app}, {machine}', current_database());
end
$$;

grant usage on schema public to {app}, {machine};
grant usage on sequence call_seq to {app}, {machine};
grant execute on function aos_make_partitions(date, integer) to {machine};

grant select, insert, update (epoch) on organization to {app};
grant select, update (epoch) on organization to {machine};
grant select, insert, update on person, session, person_token to {app}, {machine};
grant select, insert, update, delete on process to {machine};
grant select on process to {app};
grant select on partitioned to {app}, {machine};

-- A policy is replaced only where it differs: replacing one waits for every reader of its table.
do $$
declare
  t text;
  p record;
begin
  for t in
    select relname from pg_class
    where relnamespace = 'public'::regnamespace and relrowsecurity and not relispartition
  loop
    for p in
      select wanted.name, wanted.role, wanted.condition, found.oid as found,
        coalesce(found.polpermissive and found.polcmd = '*' and found.polroles = array[wanted.role::regrole::oid]
          and pg_get_expr(found.polqual, found.polrelid) = wanted.condition
          and pg_get_expr(found.polwithcheck, found.polrelid) = wanted.condition, false) as same
      from (values ('tenant', '{app}', '(organization_id = aos_organization())'), ('machine', '{machine}', 'true'))
        as wanted (name, role, condition)
      left join pg_policy found on found.polrelid = t::regclass and found.polname = wanted.name
    loop
      if not p.same then
        if p.found is not null then
          execute format('drop policy %I on %I', p.name, t);
        end if;
        execute format('create policy %I on %I to %I using (%s) with check (%s)',
          p.name, t, p.role, p.condition, p.condition);
      end if;
    end loop;
    execute format('grant select, insert, update on %I to {app}, {machine}', t);
  end loop;
end
$$;

-- What is once written stays: no running process may change or remove a record's place, a version or a usage event.
revoke update on ledger_leaf, ledger_node, ledger_checkpoint, usage_event, agent_version, tool_version,
  workflow_version, model_version, purpose_version, mcp_server_version, report from {app}, {machine};
revoke insert, update on ledger_leaf, ledger_node, ledger_checkpoint, ledger_head from {app};
grant insert on ledger_head to {app};
revoke update on record from {app};
grant delete on concurrency_limit to {app};
grant delete on ledger_pending, call, edge, origin_token, task, idempotency, used_assertion to {machine};
grant select on a2a_task_now to {app}, {machine};
grant delete on checkpoint, checkpoint_write to {app}, {machine};
grant delete on held_tool to {app};
