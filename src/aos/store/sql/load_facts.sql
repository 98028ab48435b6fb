-- Everything that decisions in one organization rest on, as of one epoch, in one row.
select o.epoch, aos_now() as now,
  (select to_jsonb(s) from organization_settings s where s.organization_id = o.id) as settings,
  (select coalesce(jsonb_agg(jsonb_build_object('columns', jsonb_build_object(
      'id', a.id, 'name', a.name, 'version', a.version, 'type', a.type, 'status', a.status,
      'department_id', a.department_id, 'department', coalesce(d.name, ''), 'owner', p.email), 'spec', v.spec)), '[]')
    from agent a
    join agent_version v on v.organization_id = a.organization_id and v.agent_id = a.id and v.version = a.version
    join person p on p.id = a.owner_id
    left join department d on d.organization_id = a.organization_id and d.id = a.department_id
    where a.organization_id = o.id) as agents,
  (select coalesce(jsonb_agg(jsonb_build_object('columns', jsonb_build_object(
      'id', t.id, 'name', t.name, 'version', t.version), 'spec', v.spec)), '[]')
    from tool t
    join tool_version v on v.organization_id = t.organization_id and v.tool_id = t.id and v.version = t.version
    where t.organization_id = o.id and t.retired_at is null) as tools,
  (select coalesce(jsonb_agg(jsonb_build_object('columns', jsonb_build_object(
      'id', m.id, 'name', m.name, 'version', m.version), 'spec', v.spec)), '[]')
    from model m
    join model_version v on v.organization_id = m.organization_id and v.model_id = m.id and v.version = m.version
    where m.organization_id = o.id and m.retired_at is null) as models,
  (select coalesce(jsonb_agg(jsonb_build_object('name', p.name, 'spec', v.spec)), '[]')
    from purpose p
    join purpose_version v on v.organization_id = p.organization_id and v.purpose_id = p.id and v.version = p.version
    where p.organization_id = o.id and p.retired_at is null) as purposes,
  (select coalesce(jsonb_agg(jsonb_build_object('id', s.id, 'name', s.name, 'data_key_id', s.data_key_id,
      'sealed', encode(s.sealed, 'base64'))), '[]')
    from secret s
    where s.organization_id = o.id and length(s.sealed) > 0 and s.name not like 'signing/%%' and s.name not like 'hook/%%'
      and s.name in (
      select v.spec->'runtime'->'options'->>'secret' from agent g
      join agent_version v on v.organization_id = g.organization_id and v.agent_id = g.id and v.version = g.version
      where g.organization_id = o.id and g.status <> 'retired'
      union
      select v.spec->>'secret' from model m
      join model_version v on v.organization_id = m.organization_id and v.model_id = m.id and v.version = m.version
      where m.organization_id = o.id and m.retired_at is null
      union
      select named #>> '{}' from tool t
      join tool_version v on v.organization_id = t.organization_id and v.tool_id = t.id and v.version = t.version
      cross join lateral jsonb_path_query(v.spec->'options', 'strict $.**.secret') named
      where t.organization_id = o.id and t.retired_at is null
      union
      select given.value->>'secret' from mcp_server c
      join mcp_server_version v
        on v.organization_id = c.organization_id and v.mcp_server_id = c.id and v.version = c.version
      cross join lateral (select value from jsonb_each(v.spec->'env')
        union all select value from jsonb_each(v.spec->'headers')) given
      where c.organization_id = o.id and c.retired_at is null)) as secrets,
  (select coalesce(jsonb_agg(jsonb_build_object('name', c.name, 'spec', v.spec, 'restarts', c.restarts)), '[]')
    from mcp_server c
    join mcp_server_version v
      on v.organization_id = c.organization_id and v.mcp_server_id = c.id and v.version = c.version
    where c.organization_id = o.id and c.retired_at is null) as mcp_servers,
  (select coalesce(jsonb_agg(jsonb_build_object('version', v.version, 'spec', v.spec)), '[]')
    from policy p
    join policy_version v on v.organization_id = p.organization_id and v.policy_id = p.id and v.state = 'active'
    where p.organization_id = o.id and p.retired_at is null) as policies,
  (select coalesce(jsonb_agg(jsonb_build_object('id', b.id, 'name', b.name, 'scope', b.scope, 'scope_id', b.scope_id,
      'limit', jsonb_build_object('nanos', b.limit_nanos, 'currency', b.currency), 'period', b.period)), '[]')
    from budget b where b.organization_id = o.id and b.retired_at is null and b.scope not in ('run', 'task')) as budgets,
  (select coalesce(jsonb_object_agg(c.name, c.at_most), '{}')
    from concurrency_limit c where c.organization_id = o.id and c.kind = 'queue') as queues,
  (select coalesce(jsonb_agg(jsonb_build_object('id', k.id, 'key_encryption_key', k.key_encryption_key,
      'wrapped', encode(k.wrapped, 'base64'), 'state', k.state)), '[]')
    from data_key k where k.organization_id = o.id) as data_keys,
  (select coalesce(jsonb_agg(jsonb_build_object('id', k.id, 'purpose', k.purpose, 'state', k.state,
      'public_key', encode(k.public_key, 'base64'), 'secret_id', k.secret_id, 'data_key_id', s.data_key_id,
      'sealed', encode(s.sealed, 'base64'), 'retired_at', k.retired_at)), '[]')
    from signing_key k join secret s on s.organization_id = k.organization_id and s.id = k.secret_id
    where k.organization_id = o.id
      and (k.purpose <> 'access' or k.state <> 'retired' or k.retired_at > aos_now() - interval '1 hour')) as signing_keys
from organization o
where o.id = %(organization_id)s
