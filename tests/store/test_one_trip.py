"""What is sent in one round trip is one transaction: all of it stands or nothing, and the connection goes on afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from aos.kernel.errors import InvalidRequest
from aos.store.hot.database import Database as Hot
from aos.store.hot.database import DatabaseConfig
from tests.databases import Database
from tests.worlds import World, agent, make_world


def on_one_connection(database: Database, story: Callable[[Hot, World], Awaitable[None]]) -> None:
    """Play a story on a database that one connection reaches."""
    world = make_world(database, agents=[agent("idle")])

    async def go() -> None:
        hot = Hot(DatabaseConfig(database.app, database.machine, machine_connections_max=1))
        await hot.open()
        try:
            await story(hot, world)
        finally:
            await hot.close()

    asyncio.run(go())


def epoch(world: World) -> int:
    """Return the epoch of the world's organization, which `begin_change` raises."""
    (row,) = world.rows("select epoch from organization where id = %s", world.organization_id)
    return int(row[0])


def change(organization_id: UUID) -> tuple[str, dict[str, object]]:
    """Return a statement that writes."""
    return "begin_change", {"organization_id": organization_id}


def test_a_statement_that_fails_takes_with_it_what_was_sent_before_it(database: Database) -> None:
    async def story(hot: Hot, world: World) -> None:
        before = epoch(world)
        with pytest.raises(InvalidRequest):
            await hot.write_in_order(change(world.organization_id), ("insert_access_keys", {"keys": "no JSON"}))
        assert epoch(world) == before
        await hot.write_in_order(change(world.organization_id))
        assert epoch(world) == before + 1

    on_one_connection(database, story)


def test_what_was_locked_and_written_before_a_decision_that_fails_is_taken_back(database: Database) -> None:
    async def story(hot: Hot, world: World) -> None:
        before = epoch(world)

        def refuse(_: object) -> None:
            raise ValueError("the decision fails")

        for _ in range(3):  # the same connection, on which the statement is prepared
            with pytest.raises(ValueError, match="the decision fails"):
                await hot.write_decided([change(world.organization_id)], refuse)
            assert epoch(world) == before
        await hot.write_decided([change(world.organization_id)], lambda _: change(world.organization_id))
        assert epoch(world) == before + 2

    on_one_connection(database, story)


def test_whoever_is_cancelled_between_two_statements_leaves_nothing_of_them(database: Database) -> None:
    async def story(hot: Hot, world: World) -> None:
        before = epoch(world)

        def cancel(_: object) -> None:
            raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await hot.write_decided([change(world.organization_id)], cancel)
        assert epoch(world) == before
        assert await hot.read("load_epochs")

    on_one_connection(database, story)
