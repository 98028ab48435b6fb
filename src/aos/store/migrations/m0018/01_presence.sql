-- When an agent outside asked for its tasks, first and last.
create table agent_presence (
  organization_id uuid not null references organization,
  agent_id uuid not null,
  first_at timestamptz not null default aos_now(),
  last_at timestamptz not null default aos_now(),
  primary key (organization_id, agent_id),
  foreign key (organization_id, agent_id) references agent
);
alter table agent_presence enable row level security;

-- Tools whose calls are held because their MCP server offers another form than the one that was accepted.
create table held_tool (
  organization_id uuid not null references organization,
  tool_id uuid not null,
  version integer not null,                  -- of the tool, when it was held: accepting what is offered makes another
  why text not null,
  first_at timestamptz not null default aos_now(),
  primary key (organization_id, tool_id),
  foreign key (organization_id, tool_id) references tool
);
alter table held_tool enable row level security;

-- How often somebody had its sessions begun anew: a session belongs to one such number.
alter table mcp_server add column restarts integer not null default 0;
