-- The models that agents may ask, what they are wanted for, and the hosts that models may be reached at.

alter table organization_settings add column hosts text[] not null default '{}'; -- besides the providers' own

create table model (
  organization_id uuid not null references organization,
  id uuid not null,
  name text not null,
  version integer not null,                  -- the one in force; 0 where none is
  retired_at timestamptz,
  created_at timestamptz not null default aos_now(),
  updated_at timestamptz not null default aos_now(),
  primary key (organization_id, id),
  unique (organization_id, name)
);
alter table model enable row level security;

create table model_version (
  organization_id uuid not null,
  model_id uuid not null,
  version integer not null check (version > 0),
  id uuid not null,
  spec jsonb not null,
  digest bytea not null,
  created_by uuid,
  created_at timestamptz not null default aos_now(),
  primary key (organization_id, model_id, version),
  unique (organization_id, id),
  foreign key (organization_id, model_id) references model
);
alter table model_version enable row level security;

create table purpose (
  organization_id uuid not null references organization,
  id uuid not null,
  name text not null,
  version integer not null,                  -- the one in force; 0 where none is
  retired_at timestamptz,
  created_at timestamptz not null default aos_now(),
  updated_at timestamptz not null default aos_now(),
  primary key (organization_id, id),
  unique (organization_id, name)
);
alter table purpose enable row level security;

create table purpose_version (
  organization_id uuid not null,
  purpose_id uuid not null,
  version integer not null check (version > 0),
  id uuid not null,
  spec jsonb not null,
  digest bytea not null,
  created_by uuid,
  created_at timestamptz not null default aos_now(),
  primary key (organization_id, purpose_id, version),
  unique (organization_id, id),
  foreign key (organization_id, purpose_id) references purpose
);
alter table purpose_version enable row level security;
