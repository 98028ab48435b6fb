-- What is told to a run from outside. A signal is taken once, by the call that waited for its name.
create table signal (
  organization_id uuid not null references organization,
  id uuid not null,
  run_id uuid not null,
  name text not null,
  sender jsonb not null,                     -- ids and names of who stands behind it
  content_id uuid,
  key text,                                  -- the same key is the same signal
  action_id uuid not null,
  taken_by uuid,                             -- the task whose call took it
  created_at timestamptz not null default aos_now(),
  primary key (organization_id, id),
  foreign key (organization_id, run_id) references run
);
create index signal_open on signal (organization_id, run_id, name, id) where taken_by is null;
create unique index signal_key on signal (organization_id, run_id, key) where key is not null;
alter table signal enable row level security;
