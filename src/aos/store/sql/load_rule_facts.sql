-- What rules are compiled and explained against: active policies, tools and agents.
select
  (select coalesce(jsonb_agg(jsonb_build_object('version', v.version, 'spec', v.spec)), '[]')
    from policy p
    join policy_version v on v.organization_id = p.organization_id and v.policy_id = p.id and v.state = 'active'
    where p.organization_id = %(organization_id)s and p.retired_at is null) as policies,
  (select coalesce(jsonb_agg(jsonb_build_object('columns', jsonb_build_object(
      'id', t.id, 'name', t.name, 'version', t.version), 'spec', v.spec)), '[]')
    from tool t
    join tool_version v on v.organization_id = t.organization_id and v.tool_id = t.id and v.version = t.version
    where t.organization_id = %(organization_id)s and t.retired_at is null) as tools,
  (select coalesce(jsonb_agg(jsonb_build_object('columns', jsonb_build_object(
      'id', a.id, 'name', a.name, 'version', a.version, 'type', a.type, 'status', a.status,
      'department_id', a.department_id, 'department', coalesce(d.name, ''), 'owner', p.email), 'spec', v.spec)), '[]')
    from agent a
    join agent_version v on v.organization_id = a.organization_id and v.agent_id = a.id and v.version = a.version
    join person p on p.id = a.owner_id
    left join department d on d.organization_id = a.organization_id and d.id = a.department_id
    where a.organization_id = %(organization_id)s) as agents
