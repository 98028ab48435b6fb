-- Tenant tables of the orchestrator. A task's row is its own fence: every write of a task compares claim_token.

create table run (
  organization_id uuid not null references organization,
  id uuid not null,
  workflow_id uuid,
  workflow_version integer,
  agent_id uuid,
  name text not null,
  department_id uuid,
  state text not null check (state in ('running', 'paused', 'succeeded', 'failed', 'cancelled')),
  chain jsonb not null,                      -- ids and names of who stands behind it
  goal_content_id uuid,
  input_content_id uuid,
  output_content_id uuid,
  error_code text,
  labels jsonb not null default '{}',
  thread text,
  clock_start timestamptz,                   -- the run's own clock at created_at, where the operator allows one
  origin_key_content_id uuid not null,
  origin_tokens integer not null default 0,  -- how many values it has seen; past the limit it is incomplete
  origin_incomplete boolean not null default false,
  tasks_open integer not null default 0 check (tasks_open >= 0),
  tasks_total integer not null default 0,
  created_at timestamptz not null default aos_now(),
  finished_at timestamptz,
  archived_at timestamptz,
  primary key (organization_id, id),
  foreign key (organization_id, workflow_id) references workflow,
  foreign key (organization_id, agent_id) references agent
);
create index run_state on run (organization_id, state, id);
create index run_unarchived on run (finished_at) where finished_at is not null and archived_at is null;

create table task (
  organization_id uuid not null,
  id uuid not null,
  run_id uuid not null,
  name text not null,
  label text not null,                       -- name, or name[3] for an item of for_each or a spawned child
  kind text not null check (kind in ('agent', 'fan')),
  agent_id uuid,
  parent_id uuid,                            -- the task that spawned it
  spawn_key text,
  item_index integer,
  chain jsonb not null,
  spec jsonb not null,                       -- input and for_each templates, retry, timeout
  state text not null check (state in
    ('blocked', 'ready', 'running', 'waiting', 'succeeded', 'failed', 'skipped', 'cancelled')),
  paused boolean not null default false,
  upstream_failed boolean not null default false,
  waits_for text,                            -- approval, children: for people; the counter decides
  blockers integer not null default 0 check (blockers >= 0),
  priority smallint not null default 0,
  attempt integer not null default 0,
  attempts_max integer not null default 1,
  claims integer not null default 0,
  claim_token uuid,
  claimed_by uuid,
  lease_until timestamptz,
  ready_at timestamptz,
  input_content_id uuid,
  output_content_id uuid,
  error_code text,
  error_content_id uuid,
  runtime_ms bigint not null default 0,
  created_at timestamptz not null default aos_now(),
  started_at timestamptz,
  finished_at timestamptz,
  primary key (organization_id, id),
  foreign key (organization_id, run_id) references run
) with (fillfactor = 70);
create index task_ready on task (priority desc, ready_at, id) where state = 'ready' and not paused;
create index task_lease on task (lease_until) where state = 'running';
create index task_run on task (organization_id, run_id, id);
create unique index task_spawn on task (organization_id, parent_id, spawn_key) where spawn_key is not null;

-- `after`: the target needs the source's success. `child`: the target waits for the source's end, whatever it is.
create table edge (
  organization_id uuid not null,
  source_id uuid not null,
  target_id uuid not null,
  run_id uuid not null,
  kind text not null check (kind in ('after', 'child')),
  primary key (organization_id, source_id, target_id)
);
create index edge_run on edge (organization_id, run_id);
create index edge_target on edge (organization_id, target_id);

-- What a task's calls came to, for replay. One row a try: a failed try gives its number back, a performed one ends the key.
create table call (
  organization_id uuid not null,
  task_id uuid not null,
  key text not null,
  attempt integer not null,
  tries integer not null,
  kind text not null,
  name text not null,
  effect text,
  action_id uuid,
  state text not null check (state in ('waiting', 'intended', 'performed', 'failed', 'refused', 'unknown')),
  outcome_content_id uuid,
  seq bigint,                                -- the order in which outcomes were recorded
  primary key (organization_id, task_id, key, attempt, tries)
);
create sequence call_seq;

create table approval (
  organization_id uuid not null references organization,
  id uuid not null,
  action_id uuid not null,
  act_kind text not null,
  act_name text not null,
  digest bytea not null,
  agent_id uuid,
  chain jsonb not null,
  run_id uuid,
  task_id uuid,
  call_key text,
  idempotency_key text,
  rules jsonb not null,                      -- escalate rules by id and version, as the approver saw them
  approver_role text not null,
  quorum integer not null default 1,
  status text not null check (status in ('pending', 'approved', 'denied', 'expired', 'used')),
  shown_content_id uuid not null,            -- arguments, reason and facts as the approver sees them
  answered_by uuid references person,
  answer_content_id uuid,
  answered_at timestamptz,
  expires_at timestamptz not null,
  used_by_action_id uuid,
  created_at timestamptz not null default aos_now(),
  primary key (organization_id, id)
);
create index approval_pending on approval (organization_id, id) where status = 'pending';
create index approval_expiry on approval (expires_at) where status in ('pending', 'approved');
create index approval_task on approval (organization_id, task_id) where task_id is not null;
create index approval_act on approval (organization_id, agent_id, digest);

-- Where values that a run has seen came from: keyed digests only, under the run's key.
create table origin_token (
  organization_id uuid not null,
  run_id uuid not null,
  token bytea not null,
  origin text not null check (origin in ('trusted', 'person', 'untrusted', 'own')),
  whole boolean not null,
  primary key (organization_id, run_id, token, origin, whole)
);

-- What an agent told about its work: progress, KPIs, an observer's findings.
create table report (
  organization_id uuid not null,
  id uuid not null,
  run_id uuid not null,
  task_id uuid not null,
  agent_id uuid not null,
  kind text not null check (kind in ('progress', 'kpi', 'finding')),
  content_id uuid not null,
  created_at timestamptz not null default aos_now(),
  primary key (organization_id, id),
  foreign key (organization_id, run_id) references run
);
create index report_run on report (organization_id, run_id, id);
