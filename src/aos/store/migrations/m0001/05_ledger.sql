-- Tables that grow with traffic are partitioned by day of their UUIDv7 id, and the log that they are proved by.
-- They carry no foreign keys: partitions are dropped by age, and a key check for each row would double the cost of writing.

create table action (
  organization_id uuid not null,
  id uuid not null,
  kind text not null,
  name text not null,
  effect text,
  state text not null check (state in ('waiting', 'intended', 'performed', 'failed', 'refused', 'unknown')),
  outcome text not null check (outcome in ('allow', 'escalate', 'deny')),
  rules jsonb not null,                      -- ids, versions and outcomes of all that matched
  agent_id uuid,
  agent_version integer,
  department_id uuid,
  chain jsonb not null,
  run_id uuid,
  task_id uuid,
  attempt integer,
  call_key text,
  approval_id uuid,
  tool_id uuid,
  tool_version integer,
  digest bytea not null,
  arguments_content_id uuid,
  decision_content_id uuid,                  -- reasons and facts read, rendered for people
  outcome_content_id uuid,
  error_code text,
  holds jsonb not null default '[]',         -- [budget, period start, nanos] of each account held
  cost_nanos bigint,
  currency text,
  clock timestamptz,                         -- the run's own clock at the decision, where it has one
  deadline timestamptz,
  intended_at timestamptz not null default aos_now(),
  concluded_at timestamptz,
  primary key (organization_id, id)
) partition by range (id);
create index action_run on action (organization_id, run_id, id) where run_id is not null;
create index action_agent on action (organization_id, agent_id, id);
create index action_open on action (deadline) where state = 'intended';

create table record (
  organization_id uuid not null,
  id uuid not null,
  kind text not null,
  run_id uuid,
  action_id uuid,
  bytes bytea,                               -- canonical, exactly as hashed; null once retention dropped them
  primary key (organization_id, id)
) partition by range (id);
create index record_run on record (organization_id, run_id, id) where run_id is not null;
create index record_action on record (organization_id, action_id) where action_id is not null;

create table content (
  organization_id uuid not null,
  id uuid not null,
  purpose text not null,
  data_key_id uuid,
  salt bytea,                                -- erased with the bytes
  sealed bytea,
  erase_after timestamptz,
  primary key (organization_id, id)
) partition by range (id);
create index content_erase on content (erase_after) where erase_after is not null and sealed is not null;

create table usage_event (
  organization_id uuid not null,
  id uuid not null,
  kind text not null check (kind in ('tool_call', 'model_call', 'task_runtime', 'workflow_execution')),
  action_id uuid,
  run_id uuid,
  task_id uuid,
  agent_id uuid,
  agent_version integer,
  department_id uuid,
  name text not null,
  quantity bigint not null,
  unit text not null,
  cost_nanos bigint not null,
  currency text not null,
  rate_nanos bigint,                         -- set where the price was in another currency
  estimated boolean not null default false,
  record_id uuid not null,
  at timestamptz not null default aos_now(),
  primary key (organization_id, id)
) partition by range (id);
create index usage_event_run on usage_event (organization_id, run_id, id) where run_id is not null;

create table task_finished (like task including defaults including constraints, primary key (organization_id, id))
  partition by range (id);
create index task_finished_run on task_finished (organization_id, run_id, id);

-- Spans from outside: evidence, joined by trace id, never leaves.
create table span (
  organization_id uuid not null,
  id uuid not null,
  trace_id bytea not null,
  span_id bytea not null,
  parent_span_id bytea,
  run_id uuid,
  name text not null,
  started_at timestamptz not null,
  ended_at timestamptz not null,
  attributes jsonb not null default '{}',
  primary key (organization_id, id)
) partition by range (id);
create index span_trace on span (organization_id, trace_id);

-- Written in the writer's own transaction, drained by the integrator. xid8 and position order what one transaction wrote.
create table ledger_pending (
  organization_id uuid not null,
  record_id uuid not null,
  leaf bytea not null check (length(leaf) = 32),
  xid xid8 not null default pg_current_xact_id(),
  position integer not null,
  primary key (organization_id, record_id)
) with (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);
create index ledger_pending_order on ledger_pending (organization_id, xid, position);

create table ledger_head (
  organization_id uuid primary key references organization,
  size bigint not null default 0,
  peaks bytea not null default '',           -- 32 bytes for each complete subtree, largest first
  checkpoint text,                           -- the newest signed note
  signed_at timestamptz
);

create table ledger_leaf (
  organization_id uuid not null,
  index bigint not null,
  record_id uuid not null,
  hash bytea not null check (length(hash) = 32),
  primary key (organization_id, index),
  unique (organization_id, record_id)
);

-- Roots of complete subtrees of 256, 256^2, ... leaves, so that a proof reads a few hundred hashes whatever the size.
create table ledger_node (
  organization_id uuid not null,
  level smallint not null check (level > 0),
  index bigint not null,
  hash bytea not null check (length(hash) = 32),
  primary key (organization_id, level, index)
);

create table ledger_checkpoint (
  organization_id uuid not null,
  size bigint not null,
  note text not null,
  key_id uuid not null,
  signed_at timestamptz not null default aos_now(),
  primary key (organization_id, size)
);
