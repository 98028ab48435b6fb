-- Files an agent's API key, by its SHA-256.
insert into api_key (organization_id, id, agent_id, label, prefix, key_hash, created_by, expires_at)
values (%(organization_id)s, %(id)s, %(agent_id)s, %(label)s, %(prefix)s, %(key_hash)s, %(created_by)s,
  aos_now() + %(seconds)s::double precision * interval '1 second')
returning created_at, expires_at
