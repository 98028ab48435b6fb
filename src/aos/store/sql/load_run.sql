-- One run with its sealed goal, input and output.
select r.id, r.name, r.state, r.workflow_id, r.workflow_version, r.agent_id, r.department_id, r.chain, r.labels, r.thread,
  r.clock_start, r.error_code, r.tasks_open, r.tasks_total, r.created_at, r.finished_at, r.archived_at,
  (select coalesce(jsonb_agg(jsonb_build_object('role', w.role, 'id', c.id, 'data_key_id', c.data_key_id,
      'sealed', encode(c.sealed, 'base64'))), '[]')
   from (values ('goal', r.goal_content_id), ('input', r.input_content_id), ('output', r.output_content_id)) w(role, id)
   join content c on c.organization_id = r.organization_id and c.id = w.id) as contents
from run r
where r.organization_id = %(organization_id)s and r.id = %(run_id)s
