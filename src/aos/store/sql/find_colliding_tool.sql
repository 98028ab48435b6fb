-- A tool that shows under the same name in dialects without dots.
select name from tool
where organization_id = %(organization_id)s and retired_at is null and name <> %(name)s
  and replace(name, '.', '_') = replace(%(name)s, '.', '_')
limit 1
