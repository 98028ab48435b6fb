-- What a run that goes on from another, or undoes it, takes over: how that one was asked for, what it is made of, and the
-- sealed content of both. `spec` is the workflow as it was in that version; `budget` is the run's own, or the nearest of
-- those above it that it spent from.
with recursive above as (
  select id, parent_run_id, 1 as depth from run where organization_id = %(organization_id)s and id = %(run_id)s
  union all
  select p.id, p.parent_run_id, a.depth + 1 from above a
  join run p on p.organization_id = %(organization_id)s and p.id = a.parent_run_id
)
select r.id, r.name, r.state, r.workflow_id, r.workflow_version, r.agent_id, a.name as agent, w.name as workflow, v.spec,
  r.chain, r.labels, r.thread, r.clock_start, r.created_at, r.priority, r.department_id, r.undoes_id, r.parent_run_id,
  r.origin_key_content_id, r.origin_incomplete or r.archived_at is not null as origin_incomplete,
  (select jsonb_build_object('nanos', b.limit_nanos, 'currency', b.currency) from above a
    join budget b on b.organization_id = r.organization_id and b.scope = 'run' and b.scope_id = a.id
      and b.retired_at is null
    order by a.depth limit 1) as budget,
  exists (select from run n where n.organization_id = r.organization_id and n.parent_run_id = r.id) as has_nested,
  (select jsonb_object_agg(k.id, jsonb_build_object('data_key_id', k.data_key_id, 'sealed', encode(k.sealed, 'base64')))
    from content k where k.organization_id = r.organization_id
      and k.id in (r.origin_key_content_id, r.goal_content_id, r.input_content_id)) as contents,
  r.goal_content_id, r.input_content_id
from run r
left join agent a on a.organization_id = r.organization_id and a.id = r.agent_id
left join workflow w on w.organization_id = r.organization_id and w.id = r.workflow_id
left join workflow_version v on v.organization_id = r.organization_id and v.workflow_id = r.workflow_id
  and v.version = r.workflow_version
where r.organization_id = %(organization_id)s and r.id = %(run_id)s
