-- Retires the key that signs for a purpose now; what it signed is still checked by it until that has expired.
update signing_key set state = 'retired', retired_at = aos_now()
where organization_id = %(organization_id)s and purpose = %(purpose)s and state = 'current'
returning id
