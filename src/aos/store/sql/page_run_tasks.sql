-- The tasks of one run in their order, archived or not, of some states or all, with what each came after, when it ended,
-- and the names of the signals that it waits for.
select t.*, a.name as agent,
  coalesce(to_jsonb(t.after_ids), (
    select coalesce(jsonb_agg(e.source_id order by e.source_id), '[]') from edge e
    where e.organization_id = %(organization_id)s and e.target_id = t.id and e.kind = 'after')) as after,
  case when t.state = 'waiting' and t.waits_for = 'signal' then array(
    select k.name from call k
    where k.organization_id = %(organization_id)s and k.task_id = t.id and k.attempt = t.attempt
      and k.kind = 'signal' and k.state = 'waiting'
    group by k.name order by k.name limit %(signals_max)s)
  end as signals
from (
  (select id, name, label, kind, agent_id, parent_id, item_index, state, paused, waits_for, wake_at, attempt, attempts_max,
     error_code, error_content_id, input_content_id, output_content_id, runtime_ms, created_at, started_at, finished_at,
     coalesce(spec ->> 'on_failure' = 'continue', false) as tolerated,
     null::uuid[] as after_ids
   from task
   where organization_id = %(organization_id)s and run_id = %(run_id)s
     and (%(id)s::uuid is null or id = %(id)s) and (%(after_id)s::uuid is null or id > %(after_id)s)
     and (%(states)s::text[] is null or state = any(%(states)s))
   order by id limit %(limit)s)
  union all
  (select id, name, label, kind, agent_id, parent_id, item_index, state, paused, waits_for, wake_at, attempt, attempts_max,
     error_code, error_content_id, input_content_id, output_content_id, runtime_ms, created_at, started_at, finished_at,
     coalesce(spec ->> 'on_failure' = 'continue', false) as tolerated,
     after_ids
   from task_finished
   where organization_id = %(organization_id)s and run_id = %(run_id)s
     and (%(id)s::uuid is null or id = %(id)s) and (%(after_id)s::uuid is null or id > %(after_id)s)
     and (%(states)s::text[] is null or state = any(%(states)s))
   order by id limit %(limit)s)
  order by id limit %(limit)s
) t
left join agent a on a.organization_id = %(organization_id)s and a.id = t.agent_id
order by t.id
