-- What was used, by one kind of group; `by` null sums everything. Each event counts in exactly one group, so the groups
-- add up to the whole; only a task that was attempted in two groups counts in both. What belongs to none stands under the
-- empty key. A model call is as many events as it has units, and counts once; its input is what was read at any rate.
with used as (
  select e.currency, e.cost_nanos, e.quantity, e.kind, e.unit, e.estimated, e.task_id, e.action_id, case %(by)s::text
      when 'agent' then coalesce(e.agent_id::text, '')
      when 'department' then coalesce(e.department_id::text, '')
      when 'run' then coalesce(e.run_id::text, '')
      when 'tool' then case e.kind when 'tool_call' then e.name else '' end
      when 'model' then case e.kind when 'model_call' then e.name else '' end
      when 'workflow' then coalesce(r.workflow_id::text, '')
      when 'day' then to_char(e.at at time zone s.timezone, 'YYYY-MM-DD')
      else '' end as key
  from usage_event e
  join organization_settings s on s.organization_id = e.organization_id
  left join run r on %(by)s::text = 'workflow' and r.organization_id = e.organization_id and r.id = e.run_id
  where e.organization_id = %(organization_id)s
    and (%(from)s::timestamptz is null
         or (e.at >= %(from)s and e.id >= aos_uuid_floor(%(from)s::timestamptz - interval '1 day')))
    and (%(to)s::timestamptz is null
         or (e.at < %(to)s and e.id < aos_uuid_floor(%(to)s::timestamptz + interval '1 day')))
), summed as (
  select key, currency, sum(cost_nanos) as nanos,
    coalesce(sum(quantity) filter (where kind = 'task_runtime' and unit = 'milliseconds'), 0) as runtime_ms,
    count(*) filter (where kind = 'task_runtime') as attempts,
    coalesce(sum(quantity) filter (where kind = 'tool_call' and unit = 'calls'), 0) as tool_calls,
    count(distinct action_id) filter (where kind = 'model_call') as model_calls,
    count(*) filter (where kind = 'workflow_execution') as workflow_executions,
    coalesce(sum(quantity) filter (where unit in ('input_tokens', 'cached_input_tokens', 'cache_write_tokens',
      'cache_write_hour_tokens')), 0) as input_tokens,
    coalesce(sum(quantity) filter (where unit = 'output_tokens'), 0) as output_tokens,
    coalesce(sum(cost_nanos) filter (where estimated), 0) as estimated_nanos, count(*) as events
  from used group by key, currency
), tasks as (
  select key, count(*) as tasks
  from (select key, task_id from used where kind = 'task_runtime' and task_id is not null group by key, task_id) t
  group by key
)
select s.key, coalesce(t.tasks, 0) as tasks, sum(s.tool_calls)::bigint as tool_calls,
  sum(s.model_calls)::bigint as model_calls, sum(s.runtime_ms)::bigint as runtime_ms,
  sum(s.attempts)::bigint as attempts, sum(s.workflow_executions)::bigint as workflow_executions,
  sum(s.input_tokens)::bigint as input_tokens, sum(s.output_tokens)::bigint as output_tokens,
  sum(s.events)::bigint as events,
  jsonb_agg(jsonb_build_object('currency', s.currency, 'nanos', s.nanos::text, 'estimated', s.estimated_nanos::text)
    order by s.currency) as costs
from summed s left join tasks t on t.key = s.key
where %(after)s::text is null or s.key > %(after)s
group by s.key, t.tasks
order by s.key
limit %(limit)s
