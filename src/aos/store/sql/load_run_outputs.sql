-- How the tasks of a run's own plan stand and where their outputs lie, archived or not; items and children are their
-- parents' matter.
select name, state, output_content_id from task
where organization_id = %(organization_id)s and run_id = %(run_id)s and parent_id is null
union all
select name, state, output_content_id from task_finished
where organization_id = %(organization_id)s and run_id = %(run_id)s and parent_id is null
