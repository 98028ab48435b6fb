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
  (select jsonb_agg(jsonb_build_array(s.state, s.label, s.error_code, s.tolerated, s.on_failure)) from (
     select distinct on (e.state, e.tolerated, e.on_failure) e.* from (
       select t.id, t.state, t.label, t.error_code, o.on_failure,
         t.state = 'skipped' and t.error_code = 'condition' or coalesce(o.on_failure = 'continue', false) as tolerated
       from task t
       cross join lateral (
         select case t.state when 'failed' then t.spec ->> 'on_failure' end as on_failure) o
       where t.organization_id = r.organization_id and t.run_id = r.id and t.parent_id is null) e
     order by e.state, e.tolerated, e.on_failure, e.id) s) as ends,
  r.input_content_id as input_id,
  case when last.tasks = 1 and coalesce(v.spec -> 'output', 'null') = 'null' then last.output_content_id end as last_id
from ending w
join run r on r.organization_id = w.organization_id and r.id = w.id and r.state in ('running', 'paused')
  and r.tasks_open = 0
left join workflow_version v on v.organization_id = r.organization_id and v.workflow_id = r.workflow_id
  and v.version = r.workflow_version
left join lateral (
  -- What no other task waits for: where that is one task, and nothing else is said, the run returns what it returned.
  select count(*) as tasks, (array_agg(t.output_content_id))[1] as output_content_id
  from (
    select t.output_content_id from task t
    where t.organization_id = r.organization_id and t.run_id = r.id and t.parent_id is null
      and not exists (select from edge e where e.organization_id = t.organization_id and e.source_id = t.id
        and e.kind = 'after')
    limit 2) t) last on true
