-- The MCP servers whose tools agents may call.

create table mcp_server (
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
alter table mcp_server enable row level security;

create table mcp_server_version (
  organization_id uuid not null,
  mcp_server_id uuid not null,
  version integer not null check (version > 0),
  id uuid not null,
  spec jsonb not null,
  digest bytea not null,
  created_by uuid,
  created_at timestamptz not null default aos_now(),
  primary key (organization_id, mcp_server_id, version),
  unique (organization_id, id),
  foreign key (organization_id, mcp_server_id) references mcp_server
);
alter table mcp_server_version enable row level security;
