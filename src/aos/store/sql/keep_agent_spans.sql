-- Keeps spans that the code of a task's agent left with its run, under the task's claim, while there is room for them.
insert into span (organization_id, id, trace_id, span_id, parent_span_id, run_id, name, started_at, ended_at, attributes)
select s.organization_id, s.id, s.trace_id, s.span_id, s.parent_span_id, s.run_id, s.name, s.started_at, s.ended_at,
  s.attributes
from json_to_recordset(%(spans)s::json) as s(organization_id uuid, id uuid, trace_id bytea, span_id bytea,
  parent_span_id bytea, run_id uuid, name text, started_at timestamptz, ended_at timestamptz, attributes jsonb)
join task t on t.organization_id = %(organization_id)s and t.id = %(task_id)s and t.claim_token = %(claim_token)s
where (select count(*) from span k where k.organization_id = %(organization_id)s and k.run_id = %(run_id)s)
  < %(spans_max)s::int
