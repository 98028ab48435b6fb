-- Indexes that are not mistaken for a key, and tables that are not mistaken for small ones.
--
-- Postgres 18 looks up (organization_id, id) by an index of (organization_id, x, id) too, once for each x that it believes
-- there to be: of a table that was never analyzed it believes in few, and of the tasks of one large run in one. An index
-- that holds only rows whose x is not null, which is all of them, is taken by whoever says what x is, and by nobody else.

create index new_task_run on task (organization_id, run_id, id) where run_id is not null;
create index new_run_state on run (organization_id, state, id) where state is not null;
create index new_edge_run on edge (organization_id, run_id) where run_id is not null;
create index new_edge_target on edge (organization_id, target_id) where target_id is not null;
create index new_action_agent on action (organization_id, agent_id, id) where agent_id is not null;
create index new_action_open on action (deadline) where state = 'intended' and deadline is not null;
create index new_approval_act on approval (organization_id, digest, agent_id);

-- Only now, since readers wait from here on.
drop index task_run, run_state, edge_run, edge_target, action_agent, action_open, approval_act;
alter index new_task_run rename to task_run;
alter index new_run_state rename to run_state;
alter index new_edge_run rename to edge_run;
alter index new_edge_target rename to edge_target;
alter index new_action_agent rename to action_agent;
alter index new_action_open rename to action_open;
alter index new_approval_act rename to approval_act;

-- Tasks are inserted by three statements, each with the row of their run in hand, and no run is ever deleted: looking each task's
-- run up again cost a tenth of writing the task. Records, actions, usage, edges and calls refer to their runs in the same way.
alter table task drop constraint task_organization_id_run_id_fkey;

-- What a connection plans while a table is all but empty it keeps while the table grows. Of a table that was never analyzed
-- Postgres believes each value to be rare, an organization as much as a task: where one row is expected whatever is asked for,
-- any index will do, and an organization is read from end to end for one run's tasks. Until it is analyzed, a table is said to
-- hold one organization's rows, with keys that differ. Nothing is said where Postgres knows already, nor before its version 18.
create function aos_expect(name text, field text, distinct_values real) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if current_setting('server_version_num')::int >= 180000 and not exists (
      select from pg_stats where schemaname = 'public' and tablename = name and attname = field) then
    perform pg_restore_attribute_stats('schemaname', 'public', 'relname', name, 'attname', field,
      'inherited', false, 'null_frac', 0::real, 'avg_width', 16, 'n_distinct', distinct_values);
  end if;
end
$$;
revoke execute on function aos_expect(text, text, real) from public;

select aos_expect(name, field, distinct_values)
from (values
  ('run', 'organization_id', 1), ('run', 'id', -1), ('run', 'state', 4),
  ('task', 'organization_id', 1), ('task', 'id', -1), ('task', 'run_id', -0.05), ('task', 'lane', 4), ('task', 'state', 4),
  ('edge', 'organization_id', 1), ('edge', 'source_id', -0.5), ('edge', 'target_id', -0.5), ('edge', 'run_id', -0.05),
  ('call', 'organization_id', 1), ('call', 'task_id', -0.1),
  ('ledger_pending', 'organization_id', 1), ('ledger_pending', 'record_id', -1),
  ('approval', 'organization_id', 1), ('approval', 'id', -1), ('approval', 'action_id', -1), ('approval', 'task_id', -0.5),
  ('signal', 'organization_id', 1), ('signal', 'run_id', -0.5),
  ('a2a_task', 'organization_id', 1), ('a2a_task', 'id', -1), ('a2a_push', 'organization_id', 1),
  ('idempotency', 'organization_id', 1), ('idempotency', 'key', -1),
  ('agent', 'organization_id', 1), ('agent', 'id', -1),
  ('agent_key', 'organization_id', 1), ('agent_key', 'id', -1),
  ('budget', 'organization_id', 1), ('budget', 'id', -1), ('budget', 'scope_id', -0.5),
  ('budget_account', 'organization_id', 1), ('budget_account', 'budget_id', -0.5)
) as expected(name, field, distinct_values);

-- A day's partitions begin empty too.
create function aos_expect_in_partitions() returns void
language sql set search_path = pg_catalog, pg_temp as $$
  select public.aos_expect(c.relname::text, field, distinct_values)
  from pg_inherits i
  join pg_class c on c.oid = i.inhrelid
  join public.partitioned p on format('public.%I', p.name)::regclass = i.inhparent
  cross join (values ('organization_id', 1::real), ('id', -1::real)) as expected(field, distinct_values)
$$;
revoke execute on function aos_expect_in_partitions() from public;

alter function aos_make_partitions(date, integer) rename to aos_create_partitions;
create function aos_make_partitions(first date, days integer) returns integer
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  made integer := public.aos_create_partitions(first, days);
begin
  if made > 0 then
    perform public.aos_expect_in_partitions();
  end if;
  return made;
end
$$;
revoke execute on function aos_make_partitions(date, integer) from public;
select aos_expect_in_partitions();
