-- Notes which of a person's organizations a session shows; no row where the person is no member of it.
update session s set organization_id = %(organization_id)s
where s.token_hash = %(token_hash)s and s.ended_at is null
  and exists (
    select from member m where m.person_id = s.person_id and m.organization_id = %(organization_id)s
      and (m.organization_id = s.issuer_id or m.founded_from_id = s.issuer_id))
returning s.id
