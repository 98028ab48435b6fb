-- The public keys that access tokens are checked by, of one organization or of all: those retired since a time may have
-- signed some that still count.
select k.id, k.public_key
from signing_key k
where k.purpose = 'access'
  and (k.state <> 'retired' or k.retired_at > aos_now() - %(retired_seconds)s * interval '1 second')
  and (%(organization_id)s::uuid is null or k.organization_id = %(organization_id)s::uuid)
order by k.organization_id, k.id
limit %(rows_max)s
