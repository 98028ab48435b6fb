-- Access tokens: keys that sign them, the assertions that clients have used, and how a client is found that names itself.

alter table signing_key drop constraint signing_key_purpose_check;
alter table signing_key add constraint signing_key_purpose_check check (purpose in ('access', 'checkpoint', 'token'));

-- An assertion that a client proved itself by. It counts once, in every process, until it would have expired.
create table used_assertion (
  organization_id uuid not null references organization,
  agent_id uuid not null,
  jti_hash bytea not null check (length(jti_hash) = 32),
  expires_at timestamptz not null,
  primary key (organization_id, agent_id, jti_hash),
  foreign key (organization_id, agent_id) references agent
);
create index used_assertion_expires on used_assertion (expires_at);
alter table used_assertion enable row level security;

-- A client says who it is before its organization is known.
create index agent_by_id on agent (id);
create index agent_by_name on agent (name);
