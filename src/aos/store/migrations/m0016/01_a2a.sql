-- What A2A clients sent, where notifications of it go, and what was handed to agents elsewhere.

create table a2a_task (
  organization_id uuid not null references organization,
  id uuid not null,
  agent_id uuid not null,
  principal_id uuid not null,                -- who sent it, the last of its chain: nobody else sees it
  context_id text not null,                  -- the thread of its runs
  message_id text not null,                  -- the client's: the same message is the same task
  message_content_id uuid not null,          -- the message as it was sent
  run_id uuid,                               -- none before it began, or where it never did
  approval_id uuid,                          -- what its start waited for
  ended text check (ended in ('refused', 'withdrawn')),
  reason_content_id uuid,                    -- why it was refused
  created_at timestamptz not null default aos_now(),
  updated_at timestamptz not null default aos_now(),
  primary key (organization_id, id),
  foreign key (organization_id, agent_id) references agent,
  foreign key (organization_id, run_id) references run
);
create unique index a2a_task_message on a2a_task (organization_id, principal_id, agent_id, message_id);
create index a2a_task_context on a2a_task (organization_id, principal_id, agent_id, context_id, id);
alter table a2a_task enable row level security;

create table a2a_push (
  organization_id uuid not null references organization,
  task_id uuid not null,
  id text not null,                          -- the client's name for it
  config_content_id uuid not null,           -- address, token and credentials, sealed
  state text not null default 'active' check (state in ('active', 'done', 'given-up', 'deleted')),
  sent_phase text,                           -- what was told last
  tries integer not null default 0,          -- since then
  next_at timestamptz not null default aos_now(),
  created_at timestamptz not null default aos_now(),
  primary key (organization_id, task_id, id),
  foreign key (organization_id, task_id) references a2a_task
);
create index a2a_push_next on a2a_push (next_at) where state = 'active';
alter table a2a_push enable row level security;

create table a2a_remote (
  organization_id uuid not null references organization,
  task_id uuid not null,                     -- our task that it does
  message_id text not null,                  -- what we sent: one for each attempt
  agent_id uuid not null,
  endpoint text not null,
  remote_task_id text,                       -- the far side's name for it, once it is known
  ended_at timestamptz,                      -- nothing is left to be told to the far side
  tries integer not null default 0,          -- of telling it that we no longer wait
  next_at timestamptz not null default aos_now(),
  created_at timestamptz not null default aos_now(),
  primary key (organization_id, task_id, message_id),
  foreign key (organization_id, agent_id) references agent
);
create index a2a_remote_next on a2a_remote (next_at) where ended_at is null;
alter table a2a_remote enable row level security;

-- Each task with the phase that it is in now; `aos.kernel.a2a` says what a phase is to a client. Rows are seen by who asks.
create view a2a_task_now with (security_invoker = true) as
select t.*, r.state as run_state, r.error_code, r.output_content_id, w.approval_id as asked_id,
  case
    when t.ended is not null then t.ended
    when t.run_id is null then
      case a.status when 'pending' then 'start-waits' when 'approved' then 'start-approved' else 'refused' end
    when r.state <> 'running' then r.state
    when w.busy then case when w.begun then 'working' else 'submitted' end
    when w.approval_id is not null then 'waits-for-person'
    when w.signalled then 'waits-for-message'
    else 'working'
  end as phase,
  greatest(t.updated_at, coalesce(r.finished_at, w.changed_at)) as changed_at
from a2a_task t
left join run r on r.organization_id = t.organization_id and r.id = t.run_id
left join approval a on a.organization_id = t.organization_id and a.id = t.approval_id
left join lateral (
  select coalesce(bool_or(k.state in ('ready', 'running')), false) as busy,
    coalesce(bool_or(k.started_at is not null), false) as begun,
    max(greatest(k.started_at, k.finished_at)) as changed_at,
    (select p.id from approval p
     where p.organization_id = t.organization_id and p.status = 'pending'
       and p.task_id in (
         select x.id from task x
         where x.organization_id = t.organization_id and x.run_id = t.run_id and x.state = 'waiting')
     order by p.id limit 1) as approval_id,
    exists (
      select from call c join task x on x.organization_id = c.organization_id and x.id = c.task_id
      where x.organization_id = t.organization_id and x.run_id = t.run_id and x.state = 'waiting'
        and c.kind = 'signal' and c.name = 'message' and c.state = 'waiting' and c.attempt = x.attempt) as signalled
  from task k
  where k.organization_id = t.organization_id and k.run_id = t.run_id
) w on r.state = 'running'
