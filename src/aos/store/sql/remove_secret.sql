-- Empties a secret: its bytes are gone, its row stays so that the name's history does.
update secret set sealed = '', updated_at = aos_now(), name = name || '#' || id::text
where organization_id = %(organization_id)s and name = %(name)s
returning id
