-- Who holds a token, by its SHA-256, with every membership that it opens, newest first.
select t.id as credential_id, t.issuer_id, t.kind, p.id as person_id, p.email, p.name,
  t.expires_at <= aos_now() as expired, t.revoked_at is not null as ended, t.used_at is not null as used,
  null::uuid as chosen_id,
  (select coalesce(jsonb_agg(jsonb_build_object('id', o.id, 'name', o.name, 'roles', to_jsonb(m.roles))
      order by m.id desc), '[]')
    from member m join organization o on o.id = m.organization_id
    where m.person_id = p.id and (m.organization_id = t.issuer_id or m.founded_from_id = t.issuer_id)) as memberships
from person_token t join person p on p.id = t.person_id
where t.token_hash = %(token_hash)s
