-- Writes where notifications of a task go, in place of what stood under that name.
with kept as (
  insert into content (organization_id, id, purpose, data_key_id, salt, sealed, erase_after)
  select organization_id, id, purpose, data_key_id, salt, sealed, erase_after
  from json_to_recordset(%(contents)s::json) as c(organization_id uuid, id uuid, purpose text, data_key_id uuid,
    salt bytea, sealed bytea, erase_after timestamptz)
)
insert into a2a_push (organization_id, task_id, id, config_content_id)
select %(organization_id)s, %(task_id)s, %(id)s, %(config_content_id)s
where (
  select count(*) from a2a_push p
  where p.organization_id = %(organization_id)s and p.task_id = %(task_id)s and p.state <> 'deleted' and p.id <> %(id)s
) < %(at_most)s
on conflict (organization_id, task_id, id) do update
set config_content_id = excluded.config_content_id, state = 'active', sent_phase = null, tries = 0, next_at = aos_now()
returning id
