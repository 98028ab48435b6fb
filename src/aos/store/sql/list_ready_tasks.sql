-- Lists up to `tasks_max` tasks that a worker could claim now, as `claim_tasks` would choose them: organizations in turn,
-- lanes in turn, the urgent first, no more of an agent or a queue than its limit leaves. It takes and locks nothing: what it
-- says is only who may be called, and the claim decides. Bounded by the lanes that have something ready and by `tasks_max`.
with recursive turn as (
  -- One step down the index for each lane that has something ready.
  (select t.organization_id, t.lane, t.agent_id, t.queue from task t
   where t.state = 'ready' and not t.paused
   order by t.organization_id, t.lane limit 1)
  union all
  select n.organization_id, n.lane, n.agent_id, n.queue
  from turn l cross join lateral (
    select t.organization_id, t.lane, t.agent_id, t.queue from task t
    where t.state = 'ready' and not t.paused and (t.organization_id, t.lane) > (l.organization_id, l.lane)
    order by t.organization_id, t.lane limit 1) n
), busy as materialized (
  -- Read only where there is a limit to hold it against; the tasks under way are few, whatever the size of the table.
  select organization_id, agent_id, queue, count(*) as tasks from task where state = 'running' group by 1, 2, 3
), room as materialized (
  select c.organization_id, a.id as agent_id, case c.kind when 'queue' then c.name end as queue,
    c.at_most - (
      select coalesce(sum(b.tasks), 0) from busy b
      where b.organization_id = c.organization_id
        and case c.kind when 'agent' then b.agent_id = a.id else b.queue = c.name end) as room
  from concurrency_limit c
  left join agent a on c.kind = 'agent' and a.organization_id = c.organization_id and a.name = c.name
  where c.kind in ('agent', 'queue')
), lanes as materialized (
  select l.organization_id, l.lane from turn l
  where case when substr(l.lane::text, 15, 1) = '5' then not exists (
    select from room r
    where r.organization_id = l.organization_id and r.room <= 0 and (r.agent_id = l.agent_id or r.queue = l.queue))
    else true end
  limit %(tasks_max)s::int
), shares as (
  select organization_id, lane, greatest(1,
    %(tasks_max)s::int / (select count(distinct organization_id) from lanes)
      / count(*) over (partition by organization_id)) as share
  from lanes
), picked as (
  select p.* from shares s cross join lateral (
    select t.organization_id, t.id, t.agent_id, t.queue, t.priority, t.ready_at from task t
    where t.state = 'ready' and not t.paused and t.organization_id = s.organization_id and t.lane = s.lane
      and t.ready_at <= aos_now()
      and not exists (
        select from room r
        where r.organization_id = t.organization_id and r.room <= 0 and (r.agent_id = t.agent_id or r.queue = t.queue))
    order by t.priority desc, t.ready_at, t.id
    limit s.share) p
), placed as (
  select p.*,
    row_number() over (partition by p.organization_id, p.agent_id order by p.priority desc, p.ready_at, p.id) as of_agent,
    row_number() over (partition by p.organization_id, p.queue order by p.priority desc, p.ready_at, p.id) as of_queue,
    a.room as agent_room, q.room as queue_room
  from picked p
  left join room a on a.organization_id = p.organization_id and a.agent_id = p.agent_id
  left join room q on q.organization_id = p.organization_id and q.queue = p.queue
)
select organization_id, id, ready_at from placed
where (agent_room is null or of_agent <= agent_room) and (queue_room is null or of_queue <= queue_room)
order by priority desc, ready_at, id
