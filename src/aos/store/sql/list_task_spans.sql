-- What the code of a task's agent said that it did, in order: evidence beside the record.
select span_id, parent_span_id, name, started_at, ended_at, attributes from span
where organization_id = %(organization_id)s and run_id = %(run_id)s and name <> 'coverage'
  and attributes->>'aos.task' = %(task)s
order by started_at, id
limit %(limit)s
