-- Seals a secret under a name, or gives the name another value; the id stays, since the seal is bound to it.
insert into secret as s (organization_id, id, name, data_key_id, sealed)
values (%(organization_id)s, %(id)s, %(name)s, %(data_key_id)s, %(sealed)s)
on conflict (organization_id, name) do update
  set data_key_id = excluded.data_key_id, sealed = excluded.sealed, version = s.version + 1, updated_at = aos_now()
returning id, version
