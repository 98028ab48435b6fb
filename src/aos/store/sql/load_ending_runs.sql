-- Runs whose tasks have all ended and that do not say so yet: those whose last task the completions before it in this
-- transaction ended, or what was forgotten.
with ending as (
  select organization_id, id
  from json_to_recordset(coalesce(nullif(current_setting('aos.ending', true), ''), '[]')::json)
    as w(organization_id uuid, id uuid)
  where not %(forgotten)s
  union all
  (select organization_id, id from run
   where %(forgotten)s and state in ('running', 'paused') and tasks_open = 0 limit 100)
)
select r.organization_id, r.id, r.name, r.workflow_id, r.workflow_version, r.agent_id, r.department_id, r.chain,
  r.clock_start, r.created_at, aos_now() as now, r.tasks_total, r.parent_task_id, v.spec -> 'output' as output,
  r.input_content_id as input_id, told.ends,
  case when told.last_tasks = 1 and coalesce(v.spec -> 'output', 'null') = 'null' then told.last_id end as last_id
from ending w
cross join lateral (
  -- Each is looked up by itself: joined, all open runs would be read to find these among them.
  select * from run where organization_id = w.organization_id and id = w.id offset 0) r
left join workflow_version v on v.organization_id = r.organization_id and v.workflow_id = r.workflow_id
  and v.version = r.workflow_version
cross join lateral (
  with own as materialized (
    select t.id, t.state, t.label, t.error_code, t.output_content_id,
      case t.state when 'failed' then t.spec ->> 'on_failure' end as on_failure
    from task t
    where t.organization_id = r.organization_id and t.run_id = r.id and t.parent_id is null
  ), last as (
    -- What no other task waits for: where that is one task, and nothing else is said, the run returns what it returned.
    select o.output_content_id from own o
    where (select e.target_id from edge e where e.organization_id = r.organization_id and e.source_id = o.id
      and e.kind = 'after' limit 1) is null
    limit 2
  ), kinds as (
    select distinct on (e.state, e.tolerated, e.on_failure) e.*
    from (
      select o.*, o.state = 'skipped' and o.error_code = 'condition' or coalesce(o.on_failure = 'continue', false)
        as tolerated
      from own o) e
    order by e.state, e.tolerated, e.on_failure, e.id
  )
  select (select count(*) from last) as last_tasks, (select (array_agg(output_content_id))[1] from last) as last_id,
    (select jsonb_agg(jsonb_build_array(k.state, k.label, k.error_code, k.tolerated, k.on_failure)) from kinds k) as ends
) told
where r.state in ('running', 'paused') and r.tasks_open = 0
