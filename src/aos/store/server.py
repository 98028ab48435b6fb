"""The server and its databases as boot and the commands see them, through the owner's login; never used while serving."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier, Literal

from aos.kernel.errors import Misconfigured, Unavailable
from aos.store.sql_files import sql

DATABASE = "aos"
OWNER = "aos_owner"
_CONNECT_TIMEOUT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Server:
    """What the server says of itself; `connections` are those that a login without special rights may take."""

    version: str
    database: str
    connections: int
    now: datetime
    has_vector: bool
    has_timescale: bool
    login: str
    owns: bool
    may_create_roles: bool


@dataclass(frozen=True, slots=True)
class SeenProcess:
    """One process that was heard of lately."""

    kind: str
    host: str
    pid: int
    version: str
    governed: bool
    detail: dict[str, Any]
    started_at: datetime
    seen_at: datetime
    silent_seconds: float


@dataclass(frozen=True, slots=True)
class FirstSignIn:
    """Whether anybody ever signed in, and the administrator who was filed first, with their organization."""

    signed_in: bool
    has_organization: bool
    administrator: UUID | None
    organization_id: UUID | None


def read_server(owner_dsn: str) -> Server:
    """Ask the server who it is. Raises Unavailable where it does not answer, Misconfigured where it refuses the login."""
    with _connect(owner_dsn) as connection:
        return Server(**_run(connection, "find_server")[0])


def ensure_database(superuser_dsn: str, owner_password: str) -> str:
    """Make AOS's own login and database on a server of ours, where they are missing; return the owner's DSN.

    The login gets this password each time, so that a lost password file mends itself.
    """
    with _connect(superuser_dsn) as connection:
        verifier = connection.pgconn.encrypt_password(
            owner_password.encode(), OWNER.encode(), b"scram-sha-256"
        ).decode()
        verb = "alter" if _run(connection, "find_role", role=OWNER) else "create"
        define = SQL(verb + " role {} login createrole password {}")
        connection.execute(define.format(Identifier(OWNER), Literal(verifier)))
        if not _run(connection, "find_database", database=DATABASE):
            create = SQL("create database {} owner {} encoding 'UTF8' template template0")
            connection.execute(create.format(Identifier(DATABASE), Identifier(OWNER)))
    return make_conninfo(superuser_dsn, dbname=DATABASE, user=OWNER, password=owner_password)


def make_partitions(owner_dsn: str) -> int:
    """Make the partitions of the days ahead, where they are missing; return how many were made."""
    with _connect(owner_dsn) as connection:
        return int(_run(connection, "make_partitions")[0]["made"])


def find_first_sign_in(owner_dsn: str) -> FirstSignIn:
    """Look whether anybody ever came in, and who could."""
    with _connect(owner_dsn) as connection:
        return FirstSignIn(**_run(connection, "find_first_sign_in")[0])


def list_processes(owner_dsn: str) -> list[SeenProcess]:
    """Return every process of this deployment that was heard of within its last three beats."""
    with _connect(owner_dsn) as connection:
        return [SeenProcess(**row) for row in _run(connection, "list_processes")]


def _run(connection: psycopg.Connection[dict[str, Any]], name: str, **params: object) -> list[dict[str, Any]]:
    return connection.execute(sql(name).encode(), params).fetchall()


@contextmanager
def _connect(dsn: str) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    try:
        with psycopg.connect(
            dsn, autocommit=True, row_factory=dict_row, application_name="aos boot",
            connect_timeout=_CONNECT_TIMEOUT_SECONDS,
        ) as connection:  # fmt: skip
            yield connection
    except psycopg.ProgrammingError as error:
        raise Misconfigured(f"AOS_DATABASE_URL: {str(error).strip()}") from error
    except psycopg.OperationalError as error:
        raise Unavailable(f"cannot reach the database: {str(error).strip()}") from error
