-- Files an agent's public key, proved; no row where the organization has that key already.
insert into agent_key (organization_id, id, agent_id, public_key, thumbprint, proved_at)
values (%(organization_id)s, %(id)s, %(agent_id)s, %(public_key)s, %(thumbprint)s, aos_now())
on conflict (organization_id, thumbprint) do nothing
returning id, proved_at
