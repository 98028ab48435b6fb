"""Migrations over a database that is in use: what stands keeps its meaning."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import aos.store.migrations
from tests.databases import OWNER, Server

FOLDER = aos.store.migrations.__path__[0]
"""Where the SQL of each migration stands."""


def run_files(connection: psycopg.Connection, migration: str) -> None:
    """Run one migration's SQL."""
    for file in sorted(Path(FOLDER, migration).glob("*.sql")):
        connection.execute(file.read_bytes())


@pytest.fixture
def empty(postgres_server: Server) -> Iterator[str]:
    """The owner's DSN of a database that nobody has migrated."""
    with psycopg.connect(postgres_server.superuser, autocommit=True) as administrator:
        administrator.execute(f"create database older owner {OWNER} encoding 'UTF8' template template0")
        try:
            yield make_conninfo(postgres_server.owner, dbname="older")
        finally:
            administrator.execute("drop database older with (force)")


def id(number: int) -> UUID:
    """Return an id that sorts by its number."""
    return UUID(int=number)


def test_credentials_that_stand_open_their_holders_first_organization_and_what_the_holder_founded(
    empty: str,
) -> None:
    with psycopg.connect(empty) as connection:
        run_files(connection, "m0001")
        run = connection.cursor().executemany
        run("insert into organization (id, name) values (%s, %s)", [(id(n), f"o{n}") for n in (1, 2, 3)])
        run("insert into person (id, email, name) values (%s, %s, '')", [(id(n), f"p{n}") for n in (11, 12, 13)])
        run(
            "insert into member (id, organization_id, person_id, roles) values (%s, %s, %s, '{}')",
            [(id(n), id(o), id(p)) for n, o, p in ((21, 1, 11), (22, 2, 11), (23, 3, 12), (24, 1, 12), (25, 2, 12))],
        )
        for table, number, columns in (("person_token", 30, "kind"), ("session", 40, "ended_at")):
            run(
                f"insert into {table} (id, person_id, token_hash, expires_at, {columns})"
                " values (%s, %s, %s, aos_now(), %s)",
                [
                    (id(number + p), id(p), f"{number + p}".encode(), "personal" if columns == "kind" else None)
                    for p in (11, 12, 13)
                ],
            )
        run_files(connection, "m0002")
        for table in ("person_token", "session"):
            found = connection.execute(f"select person_id, issuer_id from {table} order by id").fetchall()
            assert found == [(id(11), id(1)), (id(12), id(3))]
        founded = connection.execute("select id, founded_from_id from member order by id").fetchall()
        assert founded == [(id(21), None), (id(22), id(1)), (id(23), None), (id(24), None), (id(25), None)]


def test_approvals_that_stand_need_the_one_role_that_they_asked_for(empty: str) -> None:
    with psycopg.connect(empty) as connection:
        run_files(connection, "m0001")
        connection.execute("insert into organization (id, name) values (%s, 'o')", [id(1)])
        connection.execute("insert into person (id, email, name) values (%s, 'p', '')", [id(2)])
        connection.cursor().executemany(
            "insert into approval (organization_id, id, action_id, act_kind, act_name, digest, chain, rules, approver_role,"
            " status, shown_content_id, expires_at, answered_by)"
            " values (%s, %s, %s, 'tool', 't', 'd', '[]', '[]', 'approver', %s, %s, aos_now(), %s)",
            [
                (id(1), id(n), id(n), status, id(n), id(2) if status == "used" else None)
                for n, status in ((11, "pending"), (12, "used"), (13, "expired"))
            ],
        )
        run_files(connection, "m0004")
        found = connection.execute("select roles_left, answers -> 0 -> 'roles' from approval order by id").fetchall()
        assert found == [(["approver"], None), ([], ["approver"]), ([], None)]
