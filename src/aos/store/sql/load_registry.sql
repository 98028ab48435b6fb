-- All that the registry of one organization holds, in one row: what a change of it is checked against.
select o.id, o.name,
  (select to_jsonb(s) - 'organization_id' from organization_settings s where s.organization_id = o.id) as settings,
  (select coalesce(jsonb_agg(jsonb_build_object('id', d.id, 'name', d.name, 'cost_center', d.cost_center)), '[]')
    from department d where d.organization_id = o.id) as departments,
  (select coalesce(jsonb_agg(jsonb_build_object('id', c.id, 'name', c.name, 'concurrency', c.at_most)), '[]')
    from concurrency_limit c where c.organization_id = o.id and c.kind = 'queue') as queues,
  (select coalesce(jsonb_agg(jsonb_build_object('id', p.id, 'email', p.email, 'name', p.name, 'roles', m.roles)), '[]')
    from member m join person p on p.id = m.person_id where m.organization_id = o.id) as people,
  (select coalesce(jsonb_agg(jsonb_build_object('id', t.id, 'name', t.name, 'version', t.version,
      'retired', t.retired_at is not null, 'spec', v.spec, 'draft_version', n.version, 'draft_spec', n.spec)), '[]')
    from tool t
    left join tool_version v on v.organization_id = t.organization_id and v.tool_id = t.id and v.version = t.version
    left join lateral (
      select w.version, w.spec from tool_version w
      where w.organization_id = t.organization_id and w.tool_id = t.id and w.version > t.version
      order by w.version desc limit 1) n on true
    where t.organization_id = o.id) as tools,
  (select coalesce(jsonb_agg(jsonb_build_object('id', m.id, 'name', m.name, 'version', m.version,
      'retired', m.retired_at is not null, 'spec', v.spec, 'draft_version', n.version, 'draft_spec', n.spec)), '[]')
    from model m
    left join model_version v on v.organization_id = m.organization_id and v.model_id = m.id and v.version = m.version
    left join lateral (
      select w.version, w.spec from model_version w
      where w.organization_id = m.organization_id and w.model_id = m.id and w.version > m.version
      order by w.version desc limit 1) n on true
    where m.organization_id = o.id) as models,
  (select coalesce(jsonb_agg(jsonb_build_object('id', p.id, 'name', p.name, 'version', p.version,
      'retired', p.retired_at is not null, 'spec', v.spec, 'draft_version', n.version, 'draft_spec', n.spec)), '[]')
    from purpose p
    left join purpose_version v on v.organization_id = p.organization_id and v.purpose_id = p.id and v.version = p.version
    left join lateral (
      select w.version, w.spec from purpose_version w
      where w.organization_id = p.organization_id and w.purpose_id = p.id and w.version > p.version
      order by w.version desc limit 1) n on true
    where p.organization_id = o.id) as purposes,
  (select coalesce(jsonb_agg(jsonb_build_object('id', c.id, 'name', c.name, 'version', c.version,
      'retired', c.retired_at is not null, 'spec', v.spec, 'draft_version', n.version, 'draft_spec', n.spec)), '[]')
    from mcp_server c
    left join mcp_server_version v
      on v.organization_id = c.organization_id and v.mcp_server_id = c.id and v.version = c.version
    left join lateral (
      select w.version, w.spec from mcp_server_version w
      where w.organization_id = c.organization_id and w.mcp_server_id = c.id and w.version > c.version
      order by w.version desc limit 1) n on true
    where c.organization_id = o.id) as mcp_servers,
  (select coalesce(jsonb_agg(s.name), '[]') from secret s
    where s.organization_id = o.id and length(s.sealed) > 0) as secrets,
  (select coalesce(jsonb_agg(jsonb_build_object('id', a.id, 'name', a.name, 'version', a.version,
      'retired', a.status = 'retired', 'status', a.status, 'type', a.type, 'department_id', a.department_id,
      'department', coalesce(d.name, ''), 'owner', p.email, 'spec', v.spec, 'draft_version', n.version,
      'draft_spec', n.spec, 'draft_department', coalesce(nd.name, ''), 'draft_owner', np.email)), '[]')
    from agent a
    left join agent_version v on v.organization_id = a.organization_id and v.agent_id = a.id and v.version = a.version
    join person p on p.id = a.owner_id
    left join department d on d.organization_id = a.organization_id and d.id = a.department_id
    left join lateral (
      select w.version, w.spec from agent_version w
      where w.organization_id = a.organization_id and w.agent_id = a.id and w.version > a.version
      order by w.version desc limit 1) n on true
    left join department nd on nd.organization_id = a.organization_id
      and nd.id = (n.spec->'columns'->>'department_id')::uuid
    left join person np on np.id = (n.spec->'columns'->>'owner_id')::uuid
    where a.organization_id = o.id) as agents,
  (select coalesce(jsonb_agg(jsonb_build_object('id', p.id, 'name', p.name, 'version', p.version,
      'retired', p.retired_at is not null, 'spec', v.spec, 'state', v.state, 'active_version', c.version,
      'active_spec', c.spec)), '[]')
    from policy p
    join policy_version v on v.organization_id = p.organization_id and v.policy_id = p.id and v.version = p.version
    left join policy_version c on c.organization_id = p.organization_id and c.policy_id = p.id and c.state = 'active'
    where p.organization_id = o.id) as policies,
  (select coalesce(jsonb_agg(jsonb_build_object('id', b.id, 'name', b.name, 'version', b.revision,
      'retired', b.retired_at is not null, 'scope', b.scope, 'scope_name', coalesce(a.name, d.name, ''),
      'limit', jsonb_build_object('nanos', b.limit_nanos, 'currency', b.currency), 'per', b.period,
      'warn_at_percent', b.warn_at, 'on_limit', b.on_limit)), '[]')
    from budget b
    left join agent a on a.organization_id = b.organization_id and a.id = b.scope_id
    left join department d on d.organization_id = b.organization_id and d.id = b.scope_id
    where b.organization_id = o.id and b.scope not in ('run', 'task')) as budgets,
  (select coalesce(jsonb_agg(jsonb_build_object('id', w.id, 'name', w.name, 'version', w.version,
      'retired', w.retired_at is not null, 'spec', v.spec, 'draft_version', n.version, 'draft_spec', n.spec)), '[]')
    from workflow w
    join workflow_version v on v.organization_id = w.organization_id and v.workflow_id = w.id
      and v.version = w.version
    left join lateral (
      select d.version, d.spec from workflow_version d
      where d.organization_id = w.organization_id and d.workflow_id = w.id and d.version > w.version
      order by d.version desc limit 1) n on true
    where w.organization_id = o.id) as workflows,
  (select coalesce(jsonb_agg(jsonb_build_object('id', s.id, 'name', s.name, 'cron', s.cron, 'timezone', s.timezone,
      'workflow', case s.target_kind when 'workflow' then s.target else '' end,
      'agent', case s.target_kind when 'agent' then s.target else '' end,
      'goal', s.goal, 'labels', s.labels, 'priority', s.priority, 'catch_up', s.catch_up, 'overlap', s.overlap,
      'owner', p.email, 'enabled', s.enabled, 'input_id', c.id, 'input_key', c.data_key_id,
      'input_sealed', encode(c.sealed, 'base64'))), '[]')
    from schedule s
    join person p on p.id = s.owner_id
    left join content c on c.organization_id = s.organization_id and c.id = s.input_content_id and c.sealed is not null
    where s.organization_id = o.id and s.retired_at is null) as schedules,
  (select coalesce(jsonb_agg(jsonb_build_object('id', h.id, 'name', h.name,
      'workflow', case h.target_kind when 'workflow' then h.target else '' end,
      'agent', case h.target_kind when 'agent' then h.target else '' end,
      'signal', case h.does when 'signal' then h.target else '' end,
      'types', coalesce(h.accepts -> 'types', '[]'), 'sources', coalesce(h.accepts -> 'sources', '[]'),
      'mapping', h.mapping, 'owner', p.email, 'enabled', h.enabled)), '[]')
    from hook h
    join person p on p.id = h.owner_id
    where h.organization_id = o.id and h.retired_at is null) as hooks
from organization o
where o.id = %(organization_id)s
