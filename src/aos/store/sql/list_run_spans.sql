-- What agents' own code said that it did in a run, in order: evidence beside the record.
select span_id, parent_span_id, name, started_at, ended_at, attributes from span
where organization_id = %(organization_id)s and run_id = %(run_id)s and name <> 'coverage'
order by started_at, id
limit %(limit)s
