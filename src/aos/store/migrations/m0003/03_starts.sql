-- What starts runs by itself: times, and messages from outside.

create table schedule (
  organization_id uuid not null references organization,
  id uuid not null,
  name text not null,
  target_kind text not null check (target_kind in ('workflow', 'agent')),
  target text not null,
  cron text not null,
  timezone text not null,
  input_content_id uuid,
  goal text not null default '',
  labels jsonb not null default '{}',
  priority smallint not null default 0,
  catch_up text not null check (catch_up in ('none', 'last', 'all')), -- of the times missed while nothing ran
  overlap text not null check (overlap in ('allow', 'skip')),         -- while its run before is still open
  owner_id uuid not null references person,  -- whose rights its runs have
  enabled boolean not null default true,
  next_at timestamptz,
  last_at timestamptz,
  last_run_id uuid,
  last_error text,
  created_at timestamptz not null default aos_now(),
  updated_at timestamptz not null default aos_now(),
  retired_at timestamptz,
  primary key (organization_id, id)
);
create unique index schedule_name on schedule (organization_id, name) where retired_at is null;
create index schedule_due on schedule (next_at) where enabled and retired_at is null;
alter table schedule enable row level security;

-- A door through which a system outside starts runs or signals them: signed by a secret of its own.
create table hook (
  organization_id uuid not null references organization,
  id uuid not null,
  name text not null,
  does text not null check (does in ('run', 'signal')),
  target_kind text check (target_kind in ('workflow', 'agent')),
  target text not null,                      -- the workflow or agent, or the signal's name
  mapping jsonb not null default '{}',       -- templates of input, goal, labels and run over the event
  accepts jsonb not null default '{}',       -- types and sources of CloudEvents that it takes
  secret_id uuid not null,
  owner_id uuid not null references person,
  enabled boolean not null default true,
  last_at timestamptz,
  created_at timestamptz not null default aos_now(),
  updated_at timestamptz not null default aos_now(),
  retired_at timestamptz,
  primary key (organization_id, id),
  foreign key (organization_id, secret_id) references secret
);
create unique index hook_name on hook (organization_id, name) where retired_at is null;
alter table hook enable row level security;
