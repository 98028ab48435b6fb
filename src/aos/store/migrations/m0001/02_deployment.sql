-- Deployment tables: one id, no row policy, nothing of a tenant in them.

create table organization (
  id uuid primary key,
  name text not null unique,
  epoch bigint not null default 1,          -- raised by every revocation, pause, kill and policy activation
  created_at timestamptz not null default aos_now()
);

create table person (
  id uuid primary key,
  email text not null unique check (email = lower(email)),
  name text not null,
  password text not null default '!',       -- Django's column; people sign in by link, token or single sign-on
  last_login timestamptz,
  created_at timestamptz not null default aos_now()
);

create table session (
  id uuid primary key,
  person_id uuid not null references person,
  token_hash bytea not null unique,
  organization_id uuid references organization,
  created_at timestamptz not null default aos_now(),
  expires_at timestamptz not null,
  ended_at timestamptz
);

create table person_token (
  id uuid primary key,
  person_id uuid not null references person,
  kind text not null check (kind in ('personal', 'link')),
  label text not null default '',
  token_hash bytea not null unique,
  created_at timestamptz not null default aos_now(),
  expires_at timestamptz not null,
  used_at timestamptz,                       -- a link is used once
  revoked_at timestamptz
);
create index person_token_person on person_token (person_id);

-- What runs now: each process of AOS says so every few seconds, with what its canary acts showed.
create table process (
  id uuid primary key,
  kind text not null,
  host text not null,
  pid integer not null,
  version text not null,
  governed boolean not null,
  detail jsonb not null default '{}',
  started_at timestamptz not null default aos_now(),
  seen_at timestamptz not null default aos_now()
);
