-- Turns, queues, times and joins of tasks; what a run came from.

alter table task
  add column lane uuid not null default '00000000-0000-0000-0000-000000000000', -- whose turn: its agent's department
  add column queue text not null default 'default',
  add column wake_at timestamptz,            -- when a waiting task is ready whatever else it waits for
  add column deadline_at timestamptz,        -- when it fails, however many attempts are left
  add column needs integer check (needs > 0), -- how many more sources must succeed; null: all of them
  add column generation integer not null default 0, -- raised when an agent goes on with a fresh history
  add column fallen_back boolean not null default false; -- its fallback agent has it now
alter table task drop constraint task_state_check;
alter table task add constraint task_state_check check (state in
  ('blocked', 'ready', 'running', 'waiting', 'stuck', 'succeeded', 'failed', 'skipped', 'cancelled'));
alter table task drop constraint task_kind_check;
alter table task add constraint task_kind_check check (kind in ('agent', 'fan', 'workflow', 'undo'));
drop index task_ready;
create index task_ready on task (organization_id, lane, priority desc, ready_at, id)
  where state = 'ready' and not paused;
create index task_wake on task (wake_at) where state = 'waiting' and wake_at is not null;

alter table task_finished
  add column lane uuid not null default '00000000-0000-0000-0000-000000000000',
  add column queue text not null default 'default',
  add column wake_at timestamptz,
  add column deadline_at timestamptz,
  add column needs integer check (needs > 0),
  add column generation integer not null default 0,
  add column fallen_back boolean not null default false;
alter table task_finished drop constraint task_state_check;
alter table task_finished drop constraint task_kind_check;
-- A day's partition that took rows over from the default one keeps the checks as its own.
do $$
declare
  part regclass;
begin
  for part in select inhrelid::regclass from pg_inherits where inhparent = 'task_finished'::regclass loop
    execute format('alter table %s drop constraint if exists task_state_check', part);
    execute format('alter table %s drop constraint if exists task_kind_check', part);
  end loop;
end
$$;
alter table task_finished add constraint task_state_check check (state in
  ('blocked', 'ready', 'running', 'waiting', 'stuck', 'succeeded', 'failed', 'skipped', 'cancelled'));
alter table task_finished add constraint task_kind_check check (kind in ('agent', 'fan', 'workflow', 'undo'));

alter table call
  add column generation integer not null default 0,
  add column due_at timestamptz;             -- of a timer, or of a wait with a limit: when it is over

alter table run
  add column priority smallint not null default 0,
  add column parent_run_id uuid,             -- the run whose task started it
  add column parent_task_id uuid,
  add column forked_from_id uuid,            -- the run whose record it goes on from, at this task
  add column forked_task text,
  add column undoes_id uuid,                 -- the run whose acts it undoes
  add column schedule_id uuid;
create unique index run_undoes on run (organization_id, undoes_id) where undoes_id is not null;
create index run_parent on run (organization_id, parent_run_id) where parent_run_id is not null;

-- How many tasks of an agent, calls of a tool or tasks of a queue may be under way at once.
create table concurrency_limit (
  organization_id uuid not null references organization,
  id uuid not null,
  kind text not null check (kind in ('agent', 'tool', 'queue')),
  name text not null,
  at_most integer not null check (at_most > 0),
  created_at timestamptz not null default aos_now(),
  updated_at timestamptz not null default aos_now(),
  primary key (organization_id, id),
  unique (organization_id, kind, name)
);
alter table concurrency_limit enable row level security;
