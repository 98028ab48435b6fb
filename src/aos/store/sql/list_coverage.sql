-- What an agent's last passes said of its tools and models, the newest first; such a span's trace is the agent.
select attributes from span
where organization_id = %(organization_id)s and trace_id = %(trace_id)s and name = 'coverage'
order by id desc
limit %(limit)s
