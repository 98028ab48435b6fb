-- The usage events of the same groups as in `sum_usage`, each with the ledger record that states it.
select case %(by)s::text
    when 'agent' then coalesce(e.agent_id::text, '')
    when 'department' then coalesce(e.department_id::text, '')
    when 'run' then coalesce(e.run_id::text, '')
    when 'tool' then case e.kind when 'tool_call' then e.name else '' end
    when 'model' then case e.kind when 'model_call' then e.name else '' end
    when 'workflow' then coalesce(r.workflow_id::text, '')
    when 'day' then to_char(e.at at time zone s.timezone, 'YYYY-MM-DD')
    else '' end as key, e.id, e.record_id
from usage_event e
join organization_settings s on s.organization_id = e.organization_id
left join run r on %(by)s::text = 'workflow' and r.organization_id = e.organization_id and r.id = e.run_id
where e.organization_id = %(organization_id)s
  and (%(from)s::timestamptz is null
       or (e.at >= %(from)s and e.id >= aos_uuid_floor(%(from)s::timestamptz - interval '1 day')))
  and (%(to)s::timestamptz is null
       or (e.at < %(to)s and e.id < aos_uuid_floor(%(to)s::timestamptz + interval '1 day')))
order by e.id
limit %(limit)s
