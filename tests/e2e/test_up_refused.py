"""What keeps AOS from starting is one line that says how to mend it; nothing is left running."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.databases import Database
from tests.e2e.installation import Installation, installation
from tests.servers import cluster


@pytest.fixture
def fresh() -> Iterator[Installation]:
    with installation() as made:
        yield made


@pytest.mark.parametrize("how", [(), ("--detach",)], ids=["foreground", "detached"])
def test_a_taken_port_is_named_with_the_process_that_holds_it(fresh: Installation, how: tuple[str, ...]) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        said = fresh.aos("up", *how, "--port", str(port), status=1)
    assert said.startswith(f"Misconfigured: port `{port}` is taken by pid {os.getpid()} (`")
    assert "--port" in said
    assert not (fresh.home / "aos/state.json").exists()


def test_an_unknown_variable_is_a_warning_with_the_closest_name() -> None:
    with installation(AOS_PRT="1") as made, made.start("config") as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert errors == "warning: AOS_PRT is no setting of AOS: did you mean AOS_PORT?\n"


def test_a_bad_value_names_its_setting() -> None:
    with installation(AOS_WORKERS="many") as made:
        said = made.aos("up", status=1)
    assert said == "Misconfigured: AOS_WORKERS cannot be `many`: give a whole number from 0 to 64\n"


def test_a_database_that_does_not_answer_is_unavailable() -> None:
    with installation(AOS_DATABASE_URL="postgresql://aos@127.0.0.1:9/aos") as made:
        assert made.aos("up", status=7).startswith("Unavailable: cannot reach the database")


def test_too_few_connections_are_refused_with_their_sum_before_anything_is_written() -> None:
    with cluster(durable=False, overrides={"max_connections": "12"}) as server:
        with psycopg.connect(server.superuser_dsn(), autocommit=True) as connection:
            connection.execute("create role small login createrole password 'small'")
            connection.execute("create database small owner small")
        url = server.dsn("small", user="small", password="small")
        with installation(AOS_DATABASE_URL=url) as made:
            said = made.aos("up", status=1)
        assert "database connections together" in said
        assert "max_connections" in said
        with psycopg.connect(server.superuser_dsn("small")) as connection:
            assert connection.execute("select to_regclass('public.organization')").fetchone() == (None,)


def test_it_runs_on_a_database_that_it_is_told_of_and_leaves_it_running(database: Database) -> None:
    with installation(AOS_DATABASE_URL=database.owner) as made:
        made.up()
        found = made.status()
        assert found["ready"] is True
        assert found["state"]["postgres"]["embedded"] is False
        for pid in made.everything()[1:]:
            with contextlib.suppress(PermissionError):  # closed even to its own account: only root may look
                assert b"AOS_DATABASE_URL" not in Path(f"/proc/{pid}/environ").read_bytes()
        made.aos("down")
    with psycopg.connect(database.owner) as connection:
        assert connection.execute("select count(*) from process").fetchone() == (0,)
