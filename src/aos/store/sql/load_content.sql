-- One piece of content, sealed.
select organization_id, id, data_key_id, sealed from content
where organization_id = %(organization_id)s and id = %(id)s
