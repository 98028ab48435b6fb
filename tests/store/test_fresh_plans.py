"""On a database that is new, and that nobody has analysed, the hot statements look up by whole keys.

What a connection plans in its first second it keeps while the tables grow. Where Postgres expects one row whatever is asked
for, it may read all of an organization for one task, or look into an index once for each value of a column that nobody named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg
import pytest

from aos.store.hot.database import prefer_indexes
from aos.store.sql_files import sql
from tests.databases import Database, Server, cloned
from tests.store.test_runs_plans import BY_ONE_COLUMN, STATEMENTS, scans

GROWING = (
    "run task edge call action record content ledger_pending approval signal idempotency agent agent_key budget budget_account"
).split()
SELDOM = frozenset("abandon_calls load_open_calls load_acts_to_undo load_nested_runs load_runs_to_undo".split())
"""Of sweeps, of undoing and of what a dead worker left: none is asked on the way of a task that goes well."""
SWEPT = frozenset({("load_ending_runs", "run_state")})
"""Read by the part of a statement that looks for what was forgotten, and by a sweep alone."""
FEW = """
insert into organization (id, name) values ('00000000-0000-0000-0000-000000000001', 'small');
insert into run (organization_id, id, name, state, chain, origin_key_content_id)
  select '00000000-0000-0000-0000-000000000001', gen_random_uuid(), 'run', 'running', '[]', gen_random_uuid()
  from generate_series(1, 4) n;
insert into task (organization_id, id, run_id, name, label, kind, chain, spec, state, ready_at)
  select r.organization_id, gen_random_uuid(), r.id, 't', 't', 'agent', '[]', '{}', 'ready', aos_now()
  from run r cross join generate_series(1, 10) n;
insert into edge (organization_id, source_id, target_id, run_id, kind)
  select organization_id, id, lead(id, 1, id) over (order by id), run_id, 'after' from task
"""
COLUMNS = """
select i.relname, array(
  select a.attname::text from unnest(x.indkey::int[]) with ordinality k(n, o)
  join pg_attribute a on a.attrelid = x.indrelid and a.attnum = k.n order by k.o)
from pg_index x join pg_class i on i.oid = x.indexrelid join pg_class t on t.oid = x.indrelid
where t.relname = any(%s) or t.oid in (
  select h.inhrelid from pg_inherits h join pg_class p on p.oid = h.inhparent where p.relname = any(%s))
"""


@pytest.fixture(scope="module", params=["", FEW], ids=["empty", "a few rows"])
def fresh(postgres_server: Server, request: pytest.FixtureRequest) -> Iterator[Database]:
    for database in cloned(postgres_server):
        with psycopg.connect(database.owner, autocommit=True) as owner:
            for table in ("run", "task", "edge"):
                owner.execute(f"alter table {table} set (autovacuum_enabled = off)")
            if request.param:
                owner.execute(request.param)
        yield database


@pytest.mark.parametrize("name", [name for name in STATEMENTS if name not in SELDOM])
def test_a_statement_names_the_columns_of_its_indexes_from_the_first_on(fresh: Database, name: str) -> None:
    numbers: dict[str, int] = {}
    text = re.sub(r"%\((\w+)\)s", lambda found: f"${numbers.setdefault(found[1], len(numbers) + 1)}", sql(name))
    with psycopg.connect(fresh.owner) as connection:
        columns: dict[str, list[str]] = dict(connection.execute(COLUMNS, [GROWING] * 2).fetchall())
    with psycopg.connect(fresh.machine, autocommit=True) as connection:
        connection.execute(prefer_indexes().encode())
        (plan,) = connection.execute(f"explain (generic_plan, format json) {text}".encode()).fetchone() or ()
    for node in scans(plan[0]["Plan"]):
        index = node.get("Index Name")
        if index in BY_ONE_COLUMN or (name, index) in SWEPT or not node["Relation Name"].startswith(tuple(GROWING)):
            continue
        assert index is not None, f"{name} reads {node['Relation Name']} without an index"
        if index not in columns:
            continue
        named = set(re.findall(r"\(?(\w+) (?:=|>|<|>=|<=) ", node.get("Index Cond", "")))
        read = f"{name} reads {node['Relation Name']} by {index} {columns[index]}: {node.get('Index Cond')}"
        assert named - {"organization_id"}, f"a whole organization: {read}"
        assert named >= set(columns[index][:2]), f"once for each value of a column left out: {read}"
