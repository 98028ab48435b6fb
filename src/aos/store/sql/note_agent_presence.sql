-- Notes that an agent outside asked for its tasks now.
insert into agent_presence (organization_id, agent_id) values (%(organization_id)s, %(agent_id)s)
on conflict (organization_id, agent_id) do update set last_at = aos_now()
