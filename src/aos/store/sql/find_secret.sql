-- One secret, sealed.
select id, name, version, data_key_id, sealed from secret
where organization_id = %(organization_id)s and name = %(name)s
