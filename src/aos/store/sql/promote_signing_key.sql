-- Lets the next key of a purpose sign from now on; none does any more.
update signing_key set state = 'current'
where organization_id = %(organization_id)s and purpose = %(purpose)s and state = 'next'
returning id
