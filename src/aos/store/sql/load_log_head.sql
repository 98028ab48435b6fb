-- The newest signed checkpoint with the public key that signed it.
select h.size, h.checkpoint, h.signed_at, k.public_key
from ledger_head h
left join ledger_checkpoint c on c.organization_id = h.organization_id and c.size = h.size
left join signing_key k on k.organization_id = c.organization_id and k.id = c.key_id
where h.organization_id = %(organization_id)s
