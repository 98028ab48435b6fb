"""Calls of a tool with a limit are counted by one transaction at a time, and each sees what those before it wrote."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import psycopg
import pytest
from uuid_utils.compat import uuid7

from aos.store.sql_files import sql
from tests.databases import Database

HERE, THERE = uuid7(), uuid7()


def wanted(organization: UUID) -> dict[str, str]:
    """Return the parameters that name one tool."""
    return {"turns": json.dumps([{"organization_id": str(organization), "kind": "tool", "name": "erp.read"}])}


def under_way(connection: psycopg.Connection[Any], organization: UUID = HERE) -> int:
    """Lock a tool's limit as an admission does, and return how many of its calls are under way."""
    assert connection.execute(sql("lock_turns").encode(), wanted(organization)).fetchall()
    ((_, _, _, count),) = connection.execute(sql("count_turns").encode(), wanted(organization)).fetchall()
    return int(count)


def intend(connection: psycopg.Connection[Any], *, state: str = "intended", limited: bool = True) -> None:
    """Write a call of the tool."""
    connection.execute(
        "insert into action (organization_id, id, kind, name, state, outcome, rules, chain, digest, limited)"
        " values (%s, %s, 'tool', 'erp.read', %s, 'allow', '[]', '[]', '', %s)",
        (HERE, uuid7(), state, limited),
    )


@pytest.fixture
def limited(any_database: Database) -> Database:
    """Two organizations, each with a limit on its tool of the same name."""
    with psycopg.connect(any_database.owner) as owner:
        for organization in (HERE, THERE):
            owner.execute("insert into organization (id, name) values (%s, %s)", (organization, str(organization)))
            owner.execute(
                "insert into concurrency_limit (organization_id, id, kind, name, at_most) values (%s, %s, 'tool', %s, 3)",
                (organization, uuid7(), "erp.read"),
            )
    return any_database


def test_nobody_counts_a_tools_calls_while_another_adds_to_them(limited: Database) -> None:
    with psycopg.connect(limited.machine) as first, psycopg.connect(limited.machine) as second:
        assert under_way(first) == 0
        intend(first)
        second.execute("set local lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            under_way(second)
        second.rollback()
        assert under_way(second, THERE) == 0
        first.commit()
        assert under_way(second) == 1


def test_only_calls_that_are_under_way_count(limited: Database) -> None:
    with psycopg.connect(limited.machine) as connection:
        for state in ("waiting", "intended", "performed", "failed", "refused", "unknown"):
            intend(connection, state=state)
        intend(connection, limited=False)
        assert under_way(connection) == 1
        assert under_way(connection, THERE) == 0
