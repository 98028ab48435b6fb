-- Notes a task of ours that an agent elsewhere does, before it is sent and when its name there is known.
insert into a2a_remote as r (organization_id, task_id, message_id, agent_id, endpoint, remote_task_id, attempt)
values (%(organization_id)s, %(task_id)s, %(message_id)s, %(agent_id)s, %(endpoint)s, %(remote_task_id)s, %(attempt)s)
on conflict (organization_id, task_id, message_id) do update
set endpoint = excluded.endpoint, attempt = excluded.attempt, remote_task_id = coalesce(excluded.remote_task_id, r.remote_task_id)
returning r.remote_task_id
