-- Notes that a hook took an event.
update hook set last_at = aos_now() where organization_id = %(organization_id)s and id = %(id)s
