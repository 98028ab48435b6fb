-- Which of these actions stand in a state that their admission wrote: asked when it is not known whether a commit stands.
select a.id
from json_to_recordset(%(members)s::json) as m(organization_id uuid, action_id uuid, state text)
join action a on a.organization_id = m.organization_id and a.id = m.action_id and a.state = m.state
