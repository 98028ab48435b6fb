-- An approval may need a yes from several roles: those still needed, and the answers given so far, one row all the same.

alter table approval add column roles_left text[] not null default '{}';
alter table approval add column answers jsonb not null default '[]';  -- person_id, roles, content_id, at: each yes

-- What stands asked for one role, and waits for it or has had its answer.
update approval set roles_left = array[approver_role] where status = 'pending';
update approval set answers = jsonb_build_array(jsonb_build_object(
    'person_id', answered_by, 'roles', jsonb_build_array(approver_role), 'content_id', answer_content_id,
    'at', answered_at))
where status in ('approved', 'used') and answered_by is not null;
