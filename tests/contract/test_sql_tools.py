"""Tools that read a PostgreSQL database, through the gate to a real server: what is read, and that nothing else can happen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from aos.kernel.acts import ActionState
from tests.contract.outside_peer import done, kept, outside_world, perform, with_gate
from tests.databases import Database, Server, cloned
from tests.worlds import Running, World

PASSWORD = "p4ss-of-the-reader"
TEXT: Any = {"type": "string"}
SELECT = "select id, total, due, raw, note, 100 %% 7 as rest from orders where customer = %(customer)s order by id"


@dataclass(frozen=True)
class Shop:
    """A database of somebody else's, with orders in it."""

    owner: str
    dsn: str


@pytest.fixture
def shop(postgres_server: Server) -> Iterator[Shop]:
    for made in cloned(postgres_server):
        with psycopg.connect(postgres_server.superuser, dbname=made.name, autocommit=True) as connection:
            connection.execute(
                "create table orders (id bigint, customer text, total numeric, due date, raw bytea, note jsonb)"
            )
            connection.execute(
                "insert into orders select n, 'larkspur', 12.30, '2026-03-31', '\\x00ff', '{\"a\": [1.5]}' from generate_series(1, 5) n"
            )
            said = conninfo_to_dict(postgres_server.superuser)
            password = said.get("password") or PASSWORD
            host = "127.0.0.1" if str(said.get("host", "")).startswith("/") else said.get("host", "127.0.0.1")
        dsn = f"postgresql://{said['user']}:{password}@{host}:{said['port']}/{made.name}"
        yield Shop(made.owner, dsn)


def world_of(
    database: Database, shop: Shop, query: str = SELECT, *, hosts: tuple[str, ...] = ("127.0.0.1",), **more: Any
) -> World:
    names = [each for each in ("customer", "n") if f"%({each})s" in query]
    written = {
        "sql": {"dsn": {"secret": "shop"}, "query": query, **more},
        "effect": "read",
        "timeout": "3s",
        "args": {
            "type": "object",
            "properties": {each: TEXT if each == "customer" else {"type": "integer"} for each in names},
        },
    }
    return outside_world(database, {"orders.list": written}, hosts=hosts, secrets={"shop": shop.dsn})


def read(database: Database, shop: Shop, arguments: Any = None, query: str = SELECT, **more: Any) -> Any:
    return done(world_of(database, shop, query, **more), "orders.list", arguments)


def test_rows_come_as_objects_with_exact_values_as_text(database: Database, shop: Shop) -> None:
    recorded = read(database, shop, {"customer": "larkspur"}, rows=2)
    assert recorded.state is ActionState.PERFORMED, recorded.detail
    row = {"total": "12.30", "due": "2026-03-31", "raw": "\\x00ff", "note": {"a": [1.5]}, "rest": 2}
    assert recorded.value == {"rows": [{"id": 1, **row}, {"id": 2, **row}], "truncated": True}


@pytest.mark.parametrize(
    "customer", ["' or 1=1 --", "larkspur'; drop table orders; --", "%(customer)s", "\\' union select 1"]
)
def test_an_argument_is_never_read_as_sql(database: Database, shop: Shop, customer: str) -> None:
    recorded = read(database, shop, {"customer": customer})
    assert (recorded.state, recorded.value) == (ActionState.PERFORMED, {"rows": [], "truncated": False})
    assert read(database, shop, {"customer": "larkspur"}).value["truncated"] is False


@pytest.mark.parametrize(
    "query",
    [
        "delete from orders returning id",
        "with gone as (delete from orders returning id) select * from gone",
        "select 1; commit; delete from orders",
        "select set_config('transaction_read_only', 'off', false), lo_create(0)",
        "select nextval('aos_no_such')",
        "copy orders to program 'true'",
        "select * from orders for update",
    ],
)
def test_a_statement_that_would_do_more_than_read_fails_and_changes_nothing(
    database: Database, shop: Shop, query: str
) -> None:
    recorded = read(database, shop, {}, query)
    assert recorded.state is ActionState.FAILED
    assert read(database, shop, {}, "select count(*) as n from orders").value["rows"] == [{"n": 5}]


def test_a_statement_that_takes_too_long_is_ended(database: Database, shop: Shop) -> None:
    recorded = read(database, shop, {}, "select pg_sleep(20)")
    assert recorded.state in (ActionState.FAILED, ActionState.UNKNOWN)
    assert "cancel" in recorded.detail or "within" in recorded.detail


def test_rows_are_bounded_by_their_bytes(database: Database, shop: Shop) -> None:
    recorded = read(database, shop, {}, "select repeat('x', 300000) as x from generate_series(1, 100)")
    assert (len(recorded.value["rows"]), recorded.value["truncated"]) == (3, True)


def test_two_columns_of_one_name_are_refused(database: Database, shop: Shop) -> None:
    assert "two columns" in read(database, shop, {}, "select 1 as a, 2 as a").detail


def test_a_connection_is_used_again_and_nothing_of_a_call_is_left_on_it(database: Database, shop: Shop) -> None:
    query = "select pg_backend_pid() as pid, current_setting('aos.left', true) as was, set_config('aos.left', 'x', false) as now"
    world = world_of(database, shop, query)

    async def work(aos: Running) -> list[Any]:
        return [(await perform(world, aos, "orders.list")).value["rows"][0] for _ in range(2)]

    first, second = with_gate(world, work)
    assert first["pid"] == second["pid"]
    assert second["was"] in (None, "")


@pytest.mark.parametrize("hosts", [(), ("*",), ("db.larkspur.example",), ("127.0.0.1:1",)])
def test_a_host_that_is_not_permitted_is_not_asked(database: Database, shop: Shop, hosts: tuple[str, ...]) -> None:
    world = world_of(database, shop, hosts=hosts)
    recorded = done(world, "orders.list", {"customer": "larkspur"})
    assert recorded.state is ActionState.FAILED
    assert "127.0.0.1" in recorded.detail


@pytest.mark.parametrize(
    "dsn",
    [
        "host=/var/run/postgresql user=postgres dbname=postgres",
        "postgresql://u:secretive@127.0.0.1/d?options=-c%20role%3Dx",
        "postgresql://u:secretive@127.0.0.1,10.0.0.1/d",
        "postgresql://u:secretive@%2Ftmp/d",
        "postgresql://u:secretive@127.0.0.1/d?hostaddr=10.0.0.1",
        "postgresql://u:secretive@127.0.0.1/d?service=x",
        "postgresql://u@127.0.0.1/d",
    ],
)
def test_a_database_that_is_named_by_more_than_a_host_is_refused_without_repeating_it(
    database: Database, shop: Shop, dsn: str
) -> None:
    recorded = read(database, Shop(shop.owner, dsn))
    assert recorded.state is ActionState.FAILED
    assert "secretive" not in recorded.detail


def test_a_login_that_fails_says_so_without_the_password(database: Database, shop: Shop) -> None:
    dsn = shop.dsn.replace("postgresql://", "postgresql://no-such-", 1)
    world = world_of(database, Shop(shop.owner, dsn))
    recorded = done(world, "orders.list", {"customer": "larkspur"})
    assert recorded.state is ActionState.FAILED
    password = dsn.partition("://")[2].partition("@")[0].partition(":")[2]
    assert password not in recorded.detail
    assert dsn not in kept(world)


def test_a_value_that_repeats_the_password_is_scrubbed(database: Database, shop: Shop) -> None:
    password = shop.dsn.partition("://")[2].partition("@")[0].partition(":")[2]
    recorded = read(database, shop, {}, f"select 'it is {password}' as x")
    assert recorded.value["rows"] == [{"x": "it is [secret]"}]
