-- Where graphs stand: what LangGraph's checkpoint savers keep, for each agent and thread.

create table checkpoint (
  organization_id uuid not null references organization,
  agent_id uuid not null,
  thread text not null,                      -- the run's thread, else the task's id
  namespace text not null,                   -- of a graph within a graph; empty for the outermost
  id text collate "C" not null,              -- the framework's own, which sorts by time
  parent_id text,
  run_id uuid,                               -- with which it is forgotten; null where the thread outlives its runs
  content_id uuid not null,
  created_at timestamptz not null default aos_now(),
  primary key (organization_id, agent_id, thread, namespace, id)
);
create index checkpoint_run on checkpoint (organization_id, run_id) where run_id is not null;
alter table checkpoint enable row level security;

-- What the nodes of a step wrote before its next checkpoint: a group for each node, and one for each special channel of it.
create table checkpoint_write (
  organization_id uuid not null references organization,
  agent_id uuid not null,
  thread text not null,
  namespace text not null,
  checkpoint_id text collate "C" not null,
  writer text not null,
  slot integer not null,
  run_id uuid,
  content_id uuid not null,
  primary key (organization_id, agent_id, thread, namespace, checkpoint_id, writer, slot)
);
create index checkpoint_write_run on checkpoint_write (organization_id, run_id) where run_id is not null;
alter table checkpoint_write enable row level security;

create index span_run on span (organization_id, run_id) where run_id is not null;
