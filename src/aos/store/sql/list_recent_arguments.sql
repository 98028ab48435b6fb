-- The newest acts with where their arguments are kept, for a search that opens them.
select id, arguments_content_id
from action
where organization_id = %(organization_id)s and arguments_content_id is not null
order by id desc
limit %(limit)s
