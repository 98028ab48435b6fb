-- Raises the epoch of the organizations named, so that what they cached of a person counts no more.
update organization set epoch = epoch + 1 where id = any(%(organization_ids)s::uuid[])
