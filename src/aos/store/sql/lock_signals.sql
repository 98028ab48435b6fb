-- Locks the names of signals of runs, in one order, before any task: who sends one and who looks for one take turns.
select pg_advisory_xact_lock(l.key)
from (
  select distinct hashtextextended(w.run_id::text || ':' || w.name, 0) as key
  from json_to_recordset(%(signals)s::json) as w(run_id uuid, name text)
  order by 1
) l
