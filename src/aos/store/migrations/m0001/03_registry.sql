-- Tenant tables of the registry: what should be true. The organization is first in every key.

create table organization_settings (
  organization_id uuid primary key references organization,
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  timezone text not null default 'UTC',
  environment text not null default 'production',
  rates jsonb not null default '{}',         -- currency code to nanos of our currency per unit, with a date
  run_clock_allowed boolean not null default false
);

create table member (
  organization_id uuid not null references organization,
  id uuid not null,
  person_id uuid not null references person,
  roles text[] not null default '{}',
  created_at timestamptz not null default aos_now(),
  primary key (organization_id, id),
  unique (organization_id, person_id)
);
create index member_person on member (person_id);

create table department (
  organization_id uuid not null references organization,
  id uuid not null,
  name text not null,
  cost_center text not null default '',
  revision bigint not null default 1,
  created_at timestamptz not null default aos_now(),
  primary key (organization_id, id),
  unique (organization_id, name)
);

create table agent (
  organization_id uuid not null references organization,
  id uuid not null,
  name text not null,                        -- never free again, retired or not
  type text not null check (type in ('executive', 'functional', 'sub-agent', 'observer')),
  status text not null check (status in ('running', 'paused', 'errored', 'quarantined', 'retired')),
  version integer not null,
  department_id uuid,
  owner_id uuid not null references person,
  created_at timestamptz not null default aos_now(),
  updated_at timestamptz not null default aos_now(),
  retired_at timestamptz,
  primary key (organization_id, id),
  unique (organization_id, name),
  foreign key (organization_id, department_id) references department
);

create table agent_version (
  organization_id uuid not null,
  agent_id uuid not null,
  version integer not null check (version > 0),
  id uuid not null,
  spec jsonb not null,                       -- goal, objectives, runtime, tools, models, delegates, roles, permissions
  digest bytea not null,
  created_by uuid,
  created_at timestamptz not null default aos_now(),
  primary key (organization_id, agent_id, version),
  unique (organization_id, id),
  foreign key (organization_id, agent_id) references agent
);

create table agent_key (
  organization_id uuid not null,
  id uuid not null,
  agent_id uuid not null,
  public_key bytea not null check (length(public_key) = 32),
  thumbprint text not null,                  -- RFC 7638
  proved_at timestamptz not null,
  created_at timestamptz not null default aos_now(),
  revoked_at timestamptz,
  primary key (organization_id, id),
  unique (organization_id, thumbprint),
  foreign key (organization_id, agent_id) references agent
);

create table api_key (
  organization_id uuid not null,
  id uuid not null,
  agent_id uuid not null,
  label text not null default '',
  prefix text not null,
  key_hash bytea not null unique,
  created_by uuid,
  created_at timestamptz not null default aos_now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  primary key (organization_id, id),
  foreign key (organization_id, agent_id) references agent
);

create table tool (
  organization_id uuid not null references organization,
  id uuid not null,
  name text not null,
  version integer not null,
  retired_at timestamptz,
  created_at timestamptz not null default aos_now(),
  updated_at timestamptz not null default aos_now(),
  primary key (organization_id, id),
  unique (organization_id, name)
);

create table tool_version (
  organization_id uuid not null,
  tool_id uuid not null,
  version integer not null check (version > 0),
  id uuid not null,
  spec jsonb not null,
  digest bytea not null,
  created_by uuid,
  created_at timestamptz not null default aos_now(),
  primary key (organization_id, tool_id, version),
  unique (organization_id, id),
  foreign key (organization_id, tool_id) references tool
);

create table policy (
  organization_id uuid not null references organization,
  id uuid not null,
  name text not null,
  version integer not null,                  -- the newest; the active one is marked on its version
  retired_at timestamptz,
  created_at timestamptz not null default aos_now(),
  primary key (organization_id, id),
  unique (organization_id, name)
);

create table policy_version (
  organization_id uuid not null,
  policy_id uuid not null,
  version integer not null check (version > 0),
  id uuid not null,
  state text not null check (state in ('draft', 'active', 'retired')),
  spec jsonb not null,
  digest bytea not null,
  created_by uuid,
  created_at timestamptz not null default aos_now(),
  activated_at timestamptz,
  primary key (organization_id, policy_id, version),
  unique (organization_id, id),
  foreign key (organization_id, policy_id) references policy
);
create unique index policy_version_active on policy_version (organization_id, policy_id) where state = 'active';

create table workflow (
  organization_id uuid not null references organization,
  id uuid not null,
  name text not null,
  version integer not null,
  retired_at timestamptz,
  created_at timestamptz not null default aos_now(),
  primary key (organization_id, id),
  unique (organization_id, name)
);

create table workflow_version (
  organization_id uuid not null,
  workflow_id uuid not null,
  version integer not null check (version > 0),
  id uuid not null,
  spec jsonb not null,
  digest bytea not null,
  created_by uuid,
  created_at timestamptz not null default aos_now(),
  primary key (organization_id, workflow_id, version),
  unique (organization_id, id),
  foreign key (organization_id, workflow_id) references workflow
);

-- A limit on what AOS costs, for everything in its scope. The tree is the scopes: organization, department, agent, run, task.
create table budget (
  organization_id uuid not null references organization,
  id uuid not null,
  name text not null,
  scope text not null check (scope in ('organization', 'department', 'agent', 'run', 'task')),
  scope_id uuid not null,
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  limit_nanos bigint not null check (limit_nanos >= 0),
  period text not null check (period in ('day', 'month', 'total')),
  warn_at integer[] not null default '{}',   -- percent
  on_limit text not null default 'deny' check (on_limit in ('deny')),
  revision bigint not null default 1,
  retired_at timestamptz,
  created_at timestamptz not null default aos_now(),
  primary key (organization_id, id),
  unique (organization_id, name)
);
create index budget_scope on budget (organization_id, scope_id) where retired_at is null;

create table budget_account (
  organization_id uuid not null,
  budget_id uuid not null,
  period_start date not null,                -- in the organization's zone; 0001-01-01 for `total`
  held_nanos bigint not null default 0 check (held_nanos >= 0),
  settled_nanos bigint not null default 0,
  primary key (organization_id, budget_id, period_start),
  foreign key (organization_id, budget_id) references budget
);

create table data_key (
  organization_id uuid not null references organization,
  id uuid not null,
  key_encryption_key text not null,          -- its id; the key itself never enters the database
  wrapped bytea not null,
  state text not null check (state in ('current', 'retired')),
  created_at timestamptz not null default aos_now(),
  primary key (organization_id, id)
);
create unique index data_key_current on data_key (organization_id) where state = 'current';

create table secret (
  organization_id uuid not null references organization,
  id uuid not null,
  name text not null,
  data_key_id uuid not null,
  sealed bytea not null,                     -- nonce, ciphertext and tag of AES-256-GCM
  version integer not null default 1,
  created_at timestamptz not null default aos_now(),
  updated_at timestamptz not null default aos_now(),
  primary key (organization_id, id),
  unique (organization_id, name),
  foreign key (organization_id, data_key_id) references data_key
);

create table signing_key (
  organization_id uuid not null references organization,
  id uuid not null,
  purpose text not null check (purpose in ('checkpoint', 'token')),
  state text not null check (state in ('next', 'current', 'retired')),
  public_key bytea,                          -- null for a symmetric key
  secret_id uuid not null,
  created_at timestamptz not null default aos_now(),
  retired_at timestamptz,
  primary key (organization_id, id),
  foreign key (organization_id, secret_id) references secret
);
create unique index signing_key_one on signing_key (organization_id, purpose, state) where state <> 'retired';

-- A stored answer under an Idempotency-Key: the same body replays it, another body is refused.
create table idempotency (
  organization_id uuid not null references organization,
  principal_id uuid not null,
  key text not null,
  request_digest bytea not null,
  action_id uuid,
  status integer,                            -- null while the first request is at work
  answer_content_id uuid,
  created_at timestamptz not null default aos_now(),
  primary key (organization_id, principal_id, key)
);
create index idempotency_created on idempotency (created_at);
