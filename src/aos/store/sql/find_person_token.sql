-- A person's token by its hash, with the membership chosen among those that it opens by name or id, else the newest.
select t.id, t.kind, t.person_id, p.email, p.name, m.organization_id, m.roles, o.name as organization, o.epoch
from person_token t
join person p on p.id = t.person_id
left join lateral (
  select m.organization_id, m.roles from member m join organization o on o.id = m.organization_id
  where m.person_id = t.person_id and (m.organization_id = t.issuer_id or m.founded_from_id = t.issuer_id)
    and (%(organization)s::text is null or o.name = %(organization)s or o.id::text = %(organization)s)
  order by m.created_at desc, m.organization_id desc limit 1
) m on true
left join organization o on o.id = m.organization_id
where t.token_hash = %(hash)s and t.kind = 'personal' and t.revoked_at is null and t.expires_at > aos_now()
