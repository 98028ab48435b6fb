-- The sealed content that claimed tasks need: inputs and goals by id, and outputs of tasks that templates name, found by
-- the edges that lead to the task, each looked up by itself.
with wanted as (
  select * from json_to_recordset(%(tasks)s::json) as w(
    n int, organization_id uuid, id uuid, input_content_id uuid, run_input_content_id uuid, goal_content_id uuid,
    reads text[])
), named as (
  select n, organization_id, 'input' as role, null as name, input_content_id as content_id from wanted
    where input_content_id is not null
  union all
  select n, organization_id, 'run_input', null, run_input_content_id from wanted
    where run_input_content_id is not null
  union all
  select n, organization_id, 'goal', null, goal_content_id from wanted where goal_content_id is not null
  union all
  select w.n, w.organization_id, 'output', s.name, s.output_content_id
  from wanted w
  join edge e on e.organization_id = w.organization_id and e.target_id = w.id and e.kind = 'after'
  cross join lateral (
    select t.name, t.output_content_id from task t
    where t.organization_id = e.organization_id and t.id = e.source_id limit 1) s
  where cardinality(w.reads) > 0 and s.name = any(w.reads)
)
select m.n, m.role, m.name, c.organization_id, c.id, c.data_key_id, c.sealed
from named m
left join content c on c.organization_id = m.organization_id and c.id = m.content_id
