-- Where values that a run has seen came from, by their keyed digests; and whether the run has seen too many to know.
select r.origin_incomplete,
  (select coalesce(jsonb_agg(jsonb_build_array(encode(o.token, 'hex'), o.origin, o.whole)), '[]')
    from origin_token o
    where o.organization_id = r.organization_id and o.run_id = r.id and o.token = any(%(tokens)s::bytea[])) as found
from run r
where r.organization_id = %(organization_id)s and r.id = %(run_id)s
