-- Takes tasks by name for one worker, as `claim_tasks` takes them by turn: the same lease, the same fresh random claim token,
-- and the same rules. What is not ready now, is paused, is held by another transaction, or has its agent or queue as many
-- under way as its limit allows, is not taken and not returned: whoever named it names it again. Returns the claims.
-- `lock_named_limits` ran before it in the same transaction, so that two workers never count the same room.
with named as materialized (
  select distinct organization_id, id
  from json_to_recordset(%(tasks)s::json) as n(organization_id uuid, id uuid)
), busy as materialized (
  -- Read only where there is a limit to hold it against; the tasks under way are few, whatever the size of the table.
  select organization_id, agent_id, queue, count(*) as tasks from task where state = 'running' group by 1, 2, 3
), room as materialized (
  -- What each limit leaves; one that came after the locks leaves nothing.
  select c.organization_id, a.id as agent_id, case c.kind when 'queue' then c.name end as queue,
    case when c.id = any(string_to_array(nullif(current_setting('aos.limits', true), ''), ',')::uuid[]) then c.at_most - (
      select coalesce(sum(b.tasks), 0) from busy b
      where b.organization_id = c.organization_id
        and case c.kind when 'agent' then b.agent_id = a.id else b.queue = c.name end) else 0 end as room
  from concurrency_limit c
  left join agent a on c.kind = 'agent' and a.organization_id = c.organization_id and a.name = c.name
  where c.kind in ('agent', 'queue') and c.organization_id in (select organization_id from named)
), picked as materialized (
  select t.organization_id, t.id, t.agent_id, t.queue, t.priority, t.ready_at
  from named n
  join task t on t.organization_id = n.organization_id and t.id = n.id
  where t.state = 'ready' and not t.paused and t.ready_at <= aos_now()
  order by t.priority desc, t.ready_at, t.id
  for update of t skip locked
), placed as (
  select p.organization_id, p.id,
    row_number() over (partition by p.organization_id, p.agent_id order by p.priority desc, p.ready_at, p.id) as of_agent,
    row_number() over (partition by p.organization_id, p.queue order by p.priority desc, p.ready_at, p.id) as of_queue,
    a.room as agent_room, q.room as queue_room
  from picked p
  left join room a on a.organization_id = p.organization_id and a.agent_id = p.agent_id
  left join room q on q.organization_id = p.organization_id and q.queue = p.queue
), granted as (
  select organization_id, id from placed
  where (agent_room is null or of_agent <= agent_room) and (queue_room is null or of_queue <= queue_room)
)
update task t set state = 'running', claim_token = gen_random_uuid(), claimed_by = %(worker_id)s,
  lease_until = aos_now() + %(lease_seconds)s * interval '1 second'
from granted g
where t.organization_id = g.organization_id and t.id = g.id
returning t.organization_id, t.id as task_id, t.claim_token
