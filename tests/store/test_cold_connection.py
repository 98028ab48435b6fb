"""Django's connection: no statement outside a transaction of the store's own, and no organization but the named one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from uuid import UUID

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from uuid_utils.compat import uuid7

from aos.kernel.errors import AosError, InvalidRequest, Misconfigured, Unavailable
from aos.store.cold.connection import configure, deployment, disconnect, run_sql, tenant
from aos.store.django_settings import DjangoConfig, set_up_django
from aos.store.hot.database import Database as HotDatabase
from aos.store.hot.database import DatabaseConfig
from tests.databases import Database
from tests.store.sample_rows import World, make_world

set_up_django()

from aos.store.models import Agent, Organization, Person  # noqa: E402


@pytest.fixture
def cold(any_database: Database) -> Iterator[Database]:
    configure(any_database.app, connections_max=2)
    yield any_database
    disconnect()


@pytest.fixture
def worlds(cold: Database) -> tuple[World, World]:
    with psycopg.connect(cold.owner) as owner:
        return make_world(owner, "ours"), make_world(owner, "theirs")


def test_a_tenants_transaction_sees_that_tenants_rows(worlds: tuple[World, World]) -> None:
    for world in worlds:
        with tenant(world.organization_id):
            assert [agent.pk for agent in Agent.objects.all()] == [(world.organization_id, world.rows["agent"]["id"])]
    with deployment():
        assert Person.objects.count() == 2
        assert Agent.objects.count() == 0


def retire_and_fail(organization_id: UUID) -> None:
    with tenant(organization_id):
        Agent.objects.update(status="retired")
        raise KeyError


def test_what_a_transaction_wrote_is_kept_at_its_end_and_lost_with_an_error(worlds: tuple[World, World]) -> None:
    organization_id = worlds[0].organization_id
    with tenant(organization_id):
        Agent.objects.update(status="paused")
    with pytest.raises(KeyError):
        retire_and_fail(organization_id)
    with tenant(organization_id):
        assert Agent.objects.get().status == "paused"


def test_a_statement_outside_a_transaction_is_refused(worlds: tuple[World, World]) -> None:
    with tenant(worlds[0].organization_id):
        lazily = Agent.objects.filter(name="x")
    with pytest.raises(AosError, match="outside a transaction"):
        list(lazily)
    with pytest.raises(AosError, match="outside a transaction"):
        run_sql("load_epochs")
    with pytest.raises(AosError, match="outside a transaction"):
        connections["default"].cursor().execute("select 1")


def test_a_thread_that_opened_nothing_has_no_database(cold: Database) -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(ImproperlyConfigured):
        pool.submit(Agent.objects.count).result()


def test_transactions_do_not_nest(worlds: tuple[World, World]) -> None:
    with tenant(worlds[0].organization_id):
        for inner in (tenant(worlds[1].organization_id), deployment()):
            with pytest.raises(AosError, match="already open"), inner:
                pass
        assert Agent.objects.count() == 1


def test_a_statement_of_a_file_runs_in_the_open_transaction_and_answers_plain_values(
    worlds: tuple[World, World], cold: Database
) -> None:
    with deployment():
        owner = run_sql("find_owner")
        assert (owner[0]["login"], owner[0]["owns"]) == (cold.roles.app, False)
    ours, theirs = (world.organization_id for world in worlds)
    with tenant(ours):
        assert run_sql("set_organization", {"organization_id": theirs}) == [{"set_config": str(theirs)}]
        assert Agent.objects.get().organization_id == theirs


def test_json_of_a_statement_is_read_as_the_hot_half_reads_it(worlds: tuple[World, World]) -> None:
    with tenant(worlds[0].organization_id):
        row = run_sql("load_facts", {"organization_id": worlds[0].organization_id})[0]
        assert row["settings"]["currency"] == "EUR"


def test_an_organization_that_was_named_is_not_left_behind_on_the_connection(worlds: tuple[World, World]) -> None:
    for _ in range(3):
        with tenant(worlds[0].organization_id):
            assert Agent.objects.count() == 1
        with deployment():
            assert Agent.objects.count() == 0


def end_connections(database: Database) -> None:
    statement = "select pg_terminate_backend(pid) from pg_stat_activity where usename = %s and pid <> pg_backend_pid()"
    with psycopg.connect(database.app) as connection:
        connection.execute(statement, [database.roles.app])


def count_after(organization_id: UUID, event: Callable[[], None]) -> int:
    with tenant(organization_id):
        event()
        return Agent.objects.count()


def test_a_broken_connection_is_discarded_and_the_next_transaction_gets_a_good_one(
    worlds: tuple[World, World], cold: Database
) -> None:
    organization_id = worlds[0].organization_id
    with tenant(organization_id):
        assert Agent.objects.count() == 1
    end_connections(cold)
    with tenant(organization_id):
        assert Agent.objects.count() == 1
    with pytest.raises(Unavailable):
        count_after(organization_id, lambda: end_connections(cold))
    with tenant(organization_id):
        assert Agent.objects.count() == 1


def test_threads_share_a_bounded_pool(worlds: tuple[World, World], cold: Database) -> None:
    organization_id = worlds[0].organization_id
    together = threading.Barrier(2)

    def both_at_once() -> int:
        with tenant(organization_id):
            together.wait(10)
            count = Agent.objects.count()
            together.wait(10)
            return count

    with ThreadPoolExecutor(8) as pool:
        assert [one.result() for one in [pool.submit(both_at_once) for _ in range(8)]] == [1] * 8
    with psycopg.connect(cold.owner) as owner:
        statement = "select count(*) from pg_stat_activity where usename = %s"
        assert owner.execute(statement, [cold.roles.app]).fetchone() == (2,)


def test_what_the_database_fills_in_comes_back_through_models(cold: Database) -> None:
    with deployment():
        organization = Organization.objects.create(id=uuid7(), name="third")
        assert (organization.epoch, organization.created_at.tzinfo) == (1, UTC)


def test_a_server_that_is_not_there_is_named_unavailable(cold: Database) -> None:
    configure("host=127.0.0.1 port=1 dbname=x user=y", wait_seconds=0.5)
    with pytest.raises(Unavailable), deployment():
        pass


def test_django_is_set_up_once() -> None:
    with pytest.raises(Misconfigured, match="already set up"):
        set_up_django(DjangoConfig(root_urlconf="another"))


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
def test_a_value_that_no_column_holds_is_the_senders_fault(
    cold: Database, worlds: tuple[World, World], text: str
) -> None:
    ours = worlds[0].organization_id
    with pytest.raises(InvalidRequest, match="none that can be kept"), tenant(ours):
        Agent.objects.filter(name=text).exists()
    query = {"name": text, "organization_id": ours, "thumbprint": "x"}
    with pytest.raises(InvalidRequest, match="none that can be kept"), tenant(ours):
        run_sql("find_key_elsewhere", query)

    async def hot() -> None:
        database = HotDatabase(DatabaseConfig(cold.app, cold.machine))
        await database.open()
        try:
            with pytest.raises(InvalidRequest, match="none that can be kept"):
                await database.read("find_key_elsewhere", query)
            with pytest.raises(InvalidRequest, match="none that can be kept"):
                await database.write_in_order(("find_key_elsewhere", query))
            with pytest.raises(InvalidRequest, match="none that can be kept"):
                async with database.app(ours) as transaction:
                    await transaction.run("find_key_elsewhere", query)
            assert await database.read("load_epochs"), "the connections are in order"
        finally:
            await database.close()

    asyncio.run(hot())
