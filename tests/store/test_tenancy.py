"""No organization sees or writes another's rows: every tenant table is tried with the other's id, as each role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from aos.store.tables import TENANT_TABLES
from tests.databases import Database
from tests.store.sample_rows import World, make_organization, make_world, new_row, write, write_with_parents

NEVER_WRITTEN_BY_APP = {"ledger_leaf", "ledger_node", "ledger_checkpoint"}
UNCHANGEABLE = NEVER_WRITTEN_BY_APP | {"usage_event", "agent_version", "tool_version", "workflow_version", "report"}
UNCHANGEABLE |= {"model_version", "purpose_version", "mcp_server_version"}
UNCHANGEABLE_BY_APP = UNCHANGEABLE | {"record", "ledger_head"}


@dataclass(frozen=True, slots=True)
class Two:
    """Two organizations that share a database, with a row each in every tenant table."""

    database: Database
    ours: World
    theirs: World


@pytest.fixture
def two(any_database: Database) -> Two:
    with psycopg.connect(any_database.owner) as owner:
        ours, theirs = make_world(owner, "ours"), make_world(owner, "theirs")
    return Two(database=any_database, ours=ours, theirs=theirs)


def as_app(database: Database, organization_id: object) -> psycopg.Connection:
    connection = psycopg.connect(database.app)
    connection.execute("select set_config('aos.organization', %s, true)", [str(organization_id or "")])
    return connection


def count(connection: psycopg.Connection, table: str) -> int:
    return one(connection, sql.SQL("select count(*) from {}").format(sql.Identifier(table)))


def one(connection: psycopg.Connection, statement: Any, *params: object) -> Any:
    row = connection.execute(statement, params).fetchone()
    assert row is not None
    return row[0]


def may(connection: psycopg.Connection, table: str, right: str) -> bool:
    return bool(one(connection, "select has_table_privilege(%s, %s)", table, right))


def refused(connection: psycopg.Connection, statement: Any, params: list[Any] | None = None) -> str:
    """Run what must be refused, undo it, and return the reason."""
    with pytest.raises(InsufficientPrivilege) as caught, connection.transaction():
        connection.execute(statement, params)
    return str(caught.value)


def test_an_organization_sees_its_own_rows_and_no_others(two: Two) -> None:
    with as_app(two.database, two.ours.organization_id) as app:
        for table in sorted(TENANT_TABLES):
            assert count(app, table) == 1, table
            statement = sql.SQL("select count(*) from {} where organization_id = %s").format(sql.Identifier(table))
            assert one(app, statement, two.theirs.organization_id) == 0, table


def test_a_row_for_another_organization_is_refused(two: Two) -> None:
    with psycopg.connect(two.database.owner) as owner:
        rows = {table: new_row(owner, two.theirs, table) for table in TENANT_TABLES}
    with as_app(two.database, two.ours.organization_id) as app:
        for table, row in sorted(rows.items()):
            with pytest.raises(InsufficientPrivilege) as caught, app.transaction():
                write(app, table, row)
            assert ("row-level security" in str(caught.value)) is may(app, table, "insert"), table


def test_rows_of_ones_own_are_taken_wherever_the_role_may_write(two: Two) -> None:
    with psycopg.connect(two.database.owner) as owner:
        fresh = make_organization(owner, "fresh")
    with as_app(two.database, fresh.organization_id) as app:
        for table in sorted(TENANT_TABLES):
            assert may(app, table, "insert") is (table not in NEVER_WRITTEN_BY_APP), table
        for table in sorted(TENANT_TABLES - NEVER_WRITTEN_BY_APP):
            write_with_parents(app, fresh, table)
            assert count(app, table) == 1


def test_another_organizations_rows_cannot_be_changed_nor_ones_own_be_given_away(two: Two) -> None:
    with as_app(two.database, two.ours.organization_id) as app:
        for table in sorted(TENANT_TABLES):
            steal = sql.SQL("update {} set organization_id = organization_id where organization_id = %s")
            give = sql.SQL("update {} set organization_id = %s").format(sql.Identifier(table))
            theirs = [two.theirs.organization_id]
            if may(app, table, "update"):
                assert app.execute(steal.format(sql.Identifier(table)), theirs).rowcount == 0, table
                assert "row-level security" in refused(app, give, theirs), table
            else:
                assert table in UNCHANGEABLE_BY_APP
                assert "permission denied" in refused(app, give, theirs), table


def test_without_an_organization_nothing_is_seen_and_nothing_is_written(two: Two) -> None:
    with psycopg.connect(two.database.owner) as owner:
        rows = {table: new_row(owner, two.ours, table) for table in TENANT_TABLES}
    with as_app(two.database, None) as app:
        for table, row in sorted(rows.items()):
            assert count(app, table) == 0, table
            with pytest.raises(InsufficientPrivilege), app.transaction():
                write(app, table, row)
    with psycopg.connect(two.database.app) as never_set:
        assert count(never_set, "agent") == 0


def test_the_organization_is_forgotten_when_the_transaction_ends(two: Two) -> None:
    with as_app(two.database, two.ours.organization_id) as app:
        assert count(app, "agent") == 1
        app.commit()
        assert count(app, "agent") == 0


def test_the_machine_sees_every_organization(two: Two) -> None:
    with psycopg.connect(two.database.machine) as machine:
        for table in sorted(TENANT_TABLES):
            assert count(machine, table) == 2, table


def test_nothing_that_was_proved_can_be_changed_or_removed_by_a_running_role(two: Two) -> None:
    for dsn, unchangeable in ((two.database.app, UNCHANGEABLE_BY_APP), (two.database.machine, UNCHANGEABLE)):
        with psycopg.connect(dsn) as role:
            role.execute("select set_config('aos.organization', %s, false)", [str(two.ours.organization_id)])
            role.commit()
            for table in sorted(unchangeable):
                name = sql.Identifier(table)
                refused(role, sql.SQL("update {} set organization_id = organization_id").format(name))
            for table in sorted(UNCHANGEABLE | {"record", "action", "content", "ledger_head"}):
                refused(role, sql.SQL("delete from {}").format(sql.Identifier(table)))
                refused(role, sql.SQL("truncate {}").format(sql.Identifier(table)))


def test_a_partition_cannot_be_read_past_its_parents_policy(two: Two) -> None:
    listing = "select relname from pg_class where relispartition and relkind = 'r'"
    with psycopg.connect(two.database.owner) as owner:
        partitions = [row[0] for row in owner.execute(listing)]
    assert len(partitions) >= 60
    for dsn in (two.database.app, two.database.machine):
        with psycopg.connect(dsn) as role:
            for partition in partitions:
                refused(role, sql.SQL("select from {}").format(sql.Identifier(partition)))
