"""Databases for tests: a migrated template, made once in a test process, and a fresh clone of it for each test.

    def test_something(database): psycopg.connect(database.app)

A clone keeps the rights of the template, and so its roles: every database of a test process has the same logins.
`aos up` or `ensure_roles` on a clone gives it roles of its own and takes the rights of these away.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow

from aos.store.migrate import migrate
from aos.store.role_names import RoleNames
from aos.store.roles import RoleLogins, RolePasswords, ensure_roles
from tests.servers import NEWEST_MAJOR, start_cluster, until_exit

OWNER = "aos_owner"
TEST_ROLE = "aos_test"
PASSWORD = "only-on-throwaway-servers"
PASSWORDS = RolePasswords(app="app-" + PASSWORD, machine="machine-" + PASSWORD)

_numbers = itertools.count(1)
_watching: dict[str, psycopg.Connection[TupleRow]] = {}


@dataclass(frozen=True, slots=True)
class Database:
    """One database of its own, by who connects: each a DSN of libpq.

    `owner` migrates and sees everything. `app` and `machine` are what running processes use. `test` is `aos_test`, in
    whose sessions the setting `aos.now` moves the clock; it is a member of both, so it sees every organization.
    `test_app` and `test_machine` are `aos_test` too, with exactly the rights of one role.
    """

    name: str
    owner: str = field(repr=False)
    app: str = field(repr=False)
    machine: str = field(repr=False)
    test: str = field(repr=False)
    test_app: str = field(repr=False)
    test_machine: str = field(repr=False)
    roles: RoleNames

    def logins(self) -> RoleLogins:
        """Return the two running roles' logins as boot hands them on."""
        return RoleLogins(app=self.app, machine=self.machine, names=self.roles)


@dataclass(frozen=True, slots=True)
class Server:
    """A server of a test process.

    `owner` is the login that AOS_DATABASE_URL would name; `superuser` does what only an administrator may. `template`
    is the migrated database that clones are made of, `roles` are the roles that it and its clones know.
    """

    superuser: str = field(repr=False)
    owner: str = field(repr=False)
    template: str
    roles: RoleNames


@pytest.fixture(scope="session")
def postgres_server() -> Server:
    """A Postgres 18 with a migrated template, one for the test process."""
    return server(NEWEST_MAJOR)


@pytest.fixture
def database(postgres_server: Server) -> Iterator[Database]:
    """A fresh, migrated, empty database on Postgres 18."""
    yield from cloned(postgres_server)


@pytest.fixture(params=[15, NEWEST_MAJOR], ids=["postgres15", "postgres18"])
def any_database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A fresh, migrated, empty database on the oldest and on the newest Postgres in turn."""
    yield from cloned(server(request.param))


@functools.cache
def server(major: int) -> Server:
    """Return the test process's server of that major version, with its template; skips where it is not installed."""
    return prepared(start_cluster(major))


def prepared(superuser: str) -> Server:
    """Make a migrated template on a fresh server, whose superuser this DSN logs in, and return who may use it."""
    owner = make_conninfo(superuser, user=OWNER, password=PASSWORD)
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute(f"create role {OWNER} login createdb createrole password '{PASSWORD}'")
        connection.execute(f"create role {TEST_ROLE} login password '{PASSWORD}'")
        connection.execute(f"create database template_aos owner {OWNER} encoding 'UTF8' template template0")
        template = make_conninfo(owner, dbname="template_aos")
        migrate(template)
        logins = ensure_roles(template, PASSWORDS)
        connection.execute(f"grant {logins.names.app}, {logins.names.machine} to {TEST_ROLE}")
    return Server(superuser=superuser, owner=owner, template="template_aos", roles=logins.names)


def cloned(server: Server) -> Iterator[Database]:
    """Yield a clone of the server's template and drop it afterwards, whoever is still connected."""
    name = f"test_{next(_numbers)}"
    administrator = _administrator(server.superuser)
    administrator.execute(f"create database {name} owner {OWNER} template {server.template} strategy file_copy")
    database = logins_of(server, name)
    try:
        yield database
    finally:
        if (kept := _watching.pop(database.owner, None)) is not None:
            kept.close()
        administrator.execute(f"drop database {name} with (force)")


@functools.cache
def _administrator(superuser: str) -> psycopg.Connection[TupleRow]:
    """Return the superuser's connection, made once: a thousand logins would take longer than the clones."""
    made = psycopg.connect(superuser, autocommit=True)
    until_exit(made.close)
    return made


def watching(database: Database) -> psycopg.Connection[TupleRow]:
    """Return the owner's connection to a clone, made once: for tests that look again and again. It commits by itself."""
    found = _watching.get(database.owner)
    if found is None or found.closed:
        found = _watching[database.owner] = psycopg.connect(database.owner, autocommit=True)
    return found


def logins_of(server: Server, name: str) -> Database:
    """Return who connects to a database of that name, with the template's roles."""
    test = make_conninfo(server.owner, dbname=name, user=TEST_ROLE, password=PASSWORD)
    return Database(
        name=name,
        owner=make_conninfo(server.owner, dbname=name),
        app=make_conninfo(server.owner, dbname=name, user=server.roles.app, password=PASSWORDS.app),
        machine=make_conninfo(server.owner, dbname=name, user=server.roles.machine, password=PASSWORDS.machine),
        test=test,
        test_app=make_conninfo(test, options=f"-c role={server.roles.app}"),
        test_machine=make_conninfo(test, options=f"-c role={server.roles.machine}"),
        roles=server.roles,
    )
