-- The tasks of one run in their order, archived or not, from one id on.
select * from (
  select t.id, t.name, t.label, t.kind, t.agent_id, t.parent_id, t.item_index, t.state, t.paused, t.waits_for, t.attempt,
    t.attempts_max, t.claims, t.error_code, t.runtime_ms, t.created_at, t.started_at, t.finished_at, t.input_content_id,
    t.output_content_id, t.error_content_id
  from task t
  where t.organization_id = %(organization_id)s and t.run_id = %(run_id)s and t.id > %(after)s
  union all
  select t.id, t.name, t.label, t.kind, t.agent_id, t.parent_id, t.item_index, t.state, t.paused, t.waits_for, t.attempt,
    t.attempts_max, t.claims, t.error_code, t.runtime_ms, t.created_at, t.started_at, t.finished_at, t.input_content_id,
    t.output_content_id, t.error_content_id
  from task_finished t
  where t.organization_id = %(organization_id)s and t.run_id = %(run_id)s and t.id > %(after)s
) both_tables
order by id
limit %(limit)s
