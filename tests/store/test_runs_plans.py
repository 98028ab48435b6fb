"""The statements of the orchestrator look up by key, on tables of 100,000 and of 1,000,000 rows that nobody has analysed.

They are planned once a connection, with scans switched off, as the machine's connections are.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from aos.store.hot.database import Plans, prefer_indexes
from aos.store.sql_files import sql
from tests.databases import Database, Server, cloned

LARGE = frozenset({"task", "edge", "approval", "call", "schedule", "idempotency", "a2a_task", "a2a_push"})
BY_ONE_COLUMN = frozenset({"task_ready", "task_lease", "task_wake", "approval_expiry", "schedule_due", "a2a_push_next"})
"""Indexes of few rows, whatever the size of their table: what is ready, claimed, or about to expire."""

STATEMENTS = (
    "abandon_calls append_calls claim_named_tasks claim_tasks complete_tasks expand_fan find_claim list_expired_approvals"
    " list_ready_tasks load_children load_claimed"
    " load_fan_items load_open_calls load_task_history load_task_inputs lock_tasks park_tasks release_tasks renew_leases"
    " settle_approvals spawn_tasks start_tasks sweep_leases admit conclude lock_members load_call wake_tasks finish_runs"
    " offer_tasks take_tasks find_taken_task list_offered append_decisions"
    " load_keyed find_open_approval load_outcome start_run load_child_run count_runs_above count_nested_runs"
    " load_runs_to_undo load_ending_runs load_task_budgets open_task_budget"
    " load_due_schedules find_next_due cancel_run set_run_paused set_run_priority list_running_tasks try_task_again"
    " claim_a2a_pushes page_a2a_tasks load_a2a_task"
    " lock_run_tasks load_nested_runs load_acts_to_undo list_archivable_runs"
).split()

FILL = """
insert into organization (id, name) values ('00000000-0000-0000-0000-000000000001', 'large');
insert into run (organization_id, id, name, state, chain, origin_key_content_id)
  select '00000000-0000-0000-0000-000000000001', gen_random_uuid(), 'run',
    case when n % 50 = 0 then 'running' else 'succeeded' end, '[]', gen_random_uuid()
  from generate_series(1, RUNS) n;
insert into task (organization_id, id, run_id, name, label, kind, chain, spec, state, ready_at, claim_token, lease_until)
  select r.organization_id, gen_random_uuid(), r.id, 't', 't', 'agent', '[]', '{}',
    case when n % 500 = 0 then 'running' when n % 100 = 0 then 'ready' else 'blocked' end, aos_now(),
    case when n % 500 = 0 then gen_random_uuid() end, case when n % 500 = 0 then aos_now() end
  from run r cross join generate_series(1, 1000) n;
insert into edge (organization_id, source_id, target_id, run_id, kind)
  select organization_id, id, lead(id, 1, id) over (order by id), run_id, 'after' from task;
insert into approval (organization_id, id, action_id, act_kind, act_name, digest, chain, task_id, rules, approver_role,
    status, shown_content_id, expires_at)
  select organization_id, gen_random_uuid(), gen_random_uuid(), 'tool', 't', 'd', '[]', id, '[]', 'approver',
    case when random() < 0.01 then 'pending' else 'used' end, gen_random_uuid(), aos_now() + interval '1 day'
  from task limit 50000;
insert into person (id, email, name) values ('00000000-0000-0000-0000-000000000002', 'large@example.com', 'Large');
insert into schedule (organization_id, id, name, target_kind, target, cron, timezone, catch_up, overlap, owner_id, next_at)
  select '00000000-0000-0000-0000-000000000001', gen_random_uuid(), 's' || n, 'agent', 'a', '0 0 * * *', 'UTC', 'last',
    'skip', '00000000-0000-0000-0000-000000000002', aos_now() + n * interval '1 minute'
  from generate_series(-5, 50000) n;
insert into agent (organization_id, id, name, type, owner_id, status, version)
  values ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000003', 'a', 'functional',
    '00000000-0000-0000-0000-000000000002', 'running', 1);
insert into a2a_task (organization_id, id, agent_id, principal_id, context_id, message_id, message_content_id, run_id)
  select organization_id, gen_random_uuid(), '00000000-0000-0000-0000-000000000003', gen_random_uuid(), 'c', id::text, id, id
  from run cross join generate_series(1, 100) n;
insert into a2a_push (organization_id, task_id, id, config_content_id) select organization_id, id, 'p', id from a2a_task;
insert into call (organization_id, task_id, key, attempt, tries, kind, name, state)
  select organization_id, id, 'key', 1, 0, 'tool', 't', 'performed' from task;
"""


@pytest.fixture(
    scope="module",
    params=[100, pytest.param(1_000, marks=pytest.mark.long)],
    ids=["100,000 tasks", "1,000,000 tasks"],
)
def large(postgres_server: Server, request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database of one large organization, loaded at once and never analysed."""
    fill = FILL.replace("RUNS", str(request.param))
    for database in cloned(postgres_server):
        with psycopg.connect(database.owner, autocommit=True) as owner:
            for table in LARGE:
                owner.execute(f"alter table {table} set (autovacuum_enabled = off)")
            for statement in fill.strip().rstrip(";").split(";\n"):
                owner.execute(statement.encode())
        yield database


def scans(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every node of a plan that reads a table."""
    if "Relation Name" in node and node["Node Type"] != "ModifyTable":
        parts = node["Plans"] if node["Node Type"] == "Bitmap Heap Scan" else [node]
        for part in parts:
            either = part["Plans"] if part["Node Type"] == "BitmapOr" else [part]
            yield from ({**each, "Relation Name": node["Relation Name"]} for each in either)
    for below in node.get("Plans", ()):
        yield from scans(below)


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_reads_large_tables_by_key_alone(large: Database, name: str) -> None:
    numbers: dict[str, int] = {}
    text = re.sub(r"%\((\w+)\)s", lambda found: f"${numbers.setdefault(found[1], len(numbers) + 1)}", sql(name))
    with psycopg.connect(large.machine, autocommit=True) as connection:
        connection.execute(prefer_indexes().encode())
        (plan,) = connection.execute(f"explain (generic_plan, format json) {text}".encode()).fetchone() or ()
    for node in scans(plan[0]["Plan"]):
        if node["Relation Name"] not in LARGE or node.get("Index Name") in BY_ONE_COLUMN:
            continue
        read = f"{node['Node Type']} on {node['Relation Name']} by {node.get('Index Name')}: {node.get('Index Cond')}"
        assert "Index" in node["Node Type"], read
        keys = set(re.findall(r"\(?(\w+) = ", node.get("Index Cond", "")))
        assert keys - {"organization_id"}, f"{name} scans a whole organization: {read}"


@pytest.mark.parametrize(
    ("name", "table", "key"), [("count_turns", "action", "name"), ("count_open_tasks", "run", "state")]
)
def test_what_limits_count_is_found_by_an_index_of_what_is_open(
    large: Database, name: str, table: str, key: str
) -> None:
    numbers: dict[str, int] = {}
    text = re.sub(r"%\((\w+)\)s", lambda found: f"${numbers.setdefault(found[1], len(numbers) + 1)}", sql(name))
    with psycopg.connect(large.machine, autocommit=True) as connection:
        connection.execute(prefer_indexes().encode())
        (plan,) = connection.execute(f"explain (generic_plan, format json) {text}".encode()).fetchone() or ()
    read = [node for node in scans(plan[0]["Plan"]) if node["Relation Name"].startswith(table)]
    assert read
    for node in read:
        assert "Index" in node["Node Type"], node
        assert f"{key} = " in node.get("Index Cond", ""), node


def test_a_statement_that_is_slow_each_time_has_every_connection_plan_again(database: Database) -> None:
    async def story() -> None:
        plans = Plans()
        async with await psycopg.AsyncConnection.connect(
            database.machine, autocommit=True, row_factory=dict_row
        ) as one:
            statement = "select id, %s::int as n from organization"

            async def planned() -> list[str]:
                """Return whether the statement is planned anew, by what the server says of its catalogue reads."""
                await one.execute("set plan_cache_mode = force_generic_plan")
                explained = await one.execute("explain execute again(1)")
                return [row["QUERY PLAN"] for row in await explained.fetchall()]

            await one.execute("set enable_seqscan = off")
            await one.execute("prepare again as " + statement.replace("%s", "$1"))
            await plans.renew(one)
            by_index = await planned()
            await one.execute("set enable_seqscan = on; set enable_indexscan = off; set enable_bitmapscan = off")
            await one.execute("set enable_indexonlyscan = off")
            assert await planned() == by_index
            for at, seconds in enumerate((0.2, 0.2, 0.01, 0.2, 0.2)):
                plans.ran("claim_tasks", 10.0 + at, took_seconds=seconds)
            plans.ran("admit", 16.0, took_seconds=0.2)
            await plans.renew(one)
            assert await planned() == by_index, "a busy machine is slow now and then"
            plans.ran("claim_tasks", 20.0, took_seconds=0.2)
            await plans.renew(one)
            assert await planned() != by_index

    asyncio.run(story())
