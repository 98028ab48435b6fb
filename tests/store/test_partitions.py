"""Partitions: a row lies in the partition of its id's day, what no day covers in the default one, and days are made
ahead without losing a row. The clock that dates them moves for the test role alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege, RaiseException
from uuid_utils.compat import uuid7

from aos.store.tables import PARTITIONED_TABLES
from tests.databases import Database
from tests.store.sample_rows import make_world, new_row, write

MAKE = "select aos_make_partitions(%s::date, %s)"


def one(connection: psycopg.Connection, statement: Any, *params: object) -> Any:
    row = connection.execute(statement, params).fetchone()
    assert row is not None
    return row[0]


def uuid7_of(moment: datetime) -> UUID:
    """Return a UUIDv7 of that moment (RFC 9562 section 5.7)."""
    return UUID(int=int(moment.timestamp() * 1000) << 80 | 7 << 76 | 2 << 62 | 1)


def home_of(connection: psycopg.Connection, table: str, row_id: UUID) -> object:
    statement = sql.SQL("select tableoid::regclass::text from {} where id = %s").format(sql.Identifier(table))
    return one(connection, statement, row_id)


def today(connection: psycopg.Connection) -> datetime:
    moment = one(connection, "select aos_now()")
    assert isinstance(moment, datetime)
    return moment.astimezone(UTC)


@pytest.mark.parametrize("table", sorted(PARTITIONED_TABLES))
def test_a_row_lies_in_the_partition_of_its_day(any_database: Database, table: str) -> None:
    with psycopg.connect(any_database.owner) as owner:
        world = make_world(owner, "ours")
        now = today(owner)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        for moment in (midnight, midnight - timedelta(milliseconds=1), midnight + timedelta(days=7, hours=23)):
            row_id = uuid7_of(moment)
            write(owner, table, new_row(owner, world, table) | {"id": row_id})
            assert home_of(owner, table, row_id) == f"{table}_{moment:%Y%m%d}"
        for moment in (now - timedelta(days=400), now + timedelta(days=400)):
            row_id = uuid7_of(moment)
            write(owner, table, new_row(owner, world, table) | {"id": row_id})
            assert home_of(owner, table, row_id) == f"{table}_default"


def test_an_id_made_now_lies_in_todays_partition(any_database: Database) -> None:
    with psycopg.connect(any_database.owner) as owner:
        world = make_world(owner, "ours")
        row_id = uuid7()
        write(owner, "action", new_row(owner, world, "action") | {"id": row_id})
        made = datetime.fromtimestamp((row_id.int >> 80) / 1000, UTC)
        assert home_of(owner, "action", row_id) == f"action_{made:%Y%m%d}"


def test_days_are_made_once_and_by_the_machine_alone(any_database: Database) -> None:
    with psycopg.connect(any_database.machine) as machine:
        day = today(machine).date()
        assert one(machine, MAKE, day - timedelta(days=1), 9) == 0
        assert one(machine, MAKE, day, 10) == 2 * len(PARTITIONED_TABLES)
        assert one(machine, MAKE, day, 10) == 0
    with psycopg.connect(any_database.app) as app, pytest.raises(InsufficientPrivilege):
        one(app, MAKE, day, 1)


@pytest.mark.parametrize("days", [0, -1, 401])
def test_a_number_of_days_out_of_bounds_is_refused(any_database: Database, days: int) -> None:
    with psycopg.connect(any_database.machine) as machine, pytest.raises(RaiseException, match="between 1 and 400"):
        one(machine, MAKE, "2030-01-01", days)


def test_rows_that_the_default_partition_caught_move_when_their_day_is_made(any_database: Database) -> None:
    with psycopg.connect(any_database.owner) as owner:
        world = make_world(owner, "ours")
        later = today(owner) + timedelta(days=60)
        caught, left = uuid7_of(later), uuid7_of(later + timedelta(days=1))
        for table in sorted(PARTITIONED_TABLES):
            for row_id in (caught, left):
                write(owner, table, new_row(owner, world, table) | {"id": row_id})
    with psycopg.connect(any_database.machine) as machine:
        assert one(machine, MAKE, later.date(), 1) == len(PARTITIONED_TABLES)
        for table in sorted(PARTITIONED_TABLES):
            assert home_of(machine, table, caught) == f"{table}_{later:%Y%m%d}"
            assert home_of(machine, table, left) == f"{table}_default"
    with psycopg.connect(any_database.app) as app:
        app.execute("select set_config('aos.organization', %s, true)", [str(world.organization_id)])
        assert one(app, "select count(*) from action where id = %s", caught) == 1
        with pytest.raises(InsufficientPrivilege):
            app.execute(f"select from action_{later:%Y%m%d}")


def test_a_partition_made_for_caught_rows_has_its_parents_keys_and_indexes(any_database: Database) -> None:
    with psycopg.connect(any_database.owner) as owner:
        world = make_world(owner, "ours")
        later = today(owner) + timedelta(days=60)
        write(owner, "action", new_row(owner, world, "action") | {"id": uuid7_of(later)})
        assert one(owner, MAKE, later.date(), 1) == len(PARTITIONED_TABLES)
        indexes = "select count(*) from pg_index where indrelid = %s::regclass and indisvalid"
        assert one(owner, indexes, f"action_{later:%Y%m%d}") == one(owner, indexes, "action")
        assert one(owner, "select relispartition from pg_class where relname = %s", f"action_{later:%Y%m%d}")


def test_the_clock_moves_for_the_test_role_alone(any_database: Database) -> None:
    moved = datetime(2020, 2, 29, 12, tzinfo=UTC)
    for dsn, moves in (
        (any_database.test, True),
        (any_database.test_app, True),
        (any_database.test_machine, True),
        (any_database.app, False),
        (any_database.machine, False),
        (any_database.owner, False),
    ):
        with psycopg.connect(dsn) as connection:
            before = today(connection)
            connection.execute("select set_config('aos.now', %s, false)", [moved.isoformat()])
            after = today(connection)
            assert (after == moved) is moves
            assert moves or timedelta(0) <= after - before < timedelta(hours=1)


def test_the_test_roles_logins_have_exactly_one_roles_rights(any_database: Database) -> None:
    for dsn, role in (
        (any_database.test_app, any_database.roles.app),
        (any_database.test_machine, any_database.roles.machine),
    ):
        with psycopg.connect(dsn) as connection:
            row = connection.execute("select session_user::text, current_user::text").fetchone()
            assert row == ("aos_test", role)
    with psycopg.connect(any_database.owner) as owner:
        make_world(owner, "ours")
    with psycopg.connect(any_database.test_app) as connection:
        assert one(connection, "select count(*) from agent") == 0
    with psycopg.connect(any_database.test_machine) as connection:
        assert one(connection, "select count(*) from agent") == 1
