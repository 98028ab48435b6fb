-- Three roles. The owner migrates. {app} sees the rows of the transaction's organization. {machine} sees every
-- organization's rows, through a listed set of statements. Neither bypasses row-level security, neither owns anything.

revoke all on all tables in schema public from public;
revoke create on schema public from public;
grant usage on schema public to {app}, {machine};
grant usage on sequence call_seq to {app}, {machine};
grant execute on function aos_make_partitions(date, integer) to {machine};

grant select (id, name, epoch), update (epoch) on organization to {app};
grant insert on organization to {app};
grant select, update (epoch) on organization to {machine};
grant select, insert, update on person, session, person_token to {app}, {machine};
grant select, insert, update, delete on process to {machine};
grant select on process to {app};
grant select on partitioned to {app}, {machine};

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
    execute format('create policy tenant on %I to {app} using (organization_id = aos_organization())'
      ' with check (organization_id = aos_organization())', t);
    execute format('create policy machine on %I to {machine} using (true) with check (true)', t);
    execute format('grant select, insert, update on %I to {app}, {machine}', t);
  end loop;
end
$$;

-- What is once written stays: no running process may change or remove a record's place, a version or a usage event.
revoke update on ledger_leaf, ledger_node, ledger_checkpoint, usage_event, agent_version, tool_version,
  workflow_version, report from {app}, {machine};
revoke insert, update on ledger_leaf, ledger_node, ledger_checkpoint, ledger_head from {app};
grant insert on ledger_head to {app};
revoke update on record from {app};
grant delete on ledger_pending, call, edge, origin_token, task, idempotency to {machine};
