"""`python -m aos.boot.prepare`: makes the database fit to serve, in a short-lived process of its own.

It alone holds the owner's login, and Django for the migrations; it imports them while Postgres still starts. It reads its
orders from standard input and answers on standard output, an error included.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from aos.boot.connections import Kind, check_connections
from aos.boot.own_process import close_to_others, end_with
from aos.boot.passwords import Passwords
from aos.kernel.errors import AosError, error_table


@dataclass(frozen=True, slots=True)
class Orders:
    """What is to be made fit. `superuser_dsn` is set for a server of ours: database and owner are made there first.

    Without a `key_file` nobody is let in for the first time.
    """

    owner_dsn: str = field(repr=False)
    superuser_dsn: str = field(repr=False)
    passwords: Passwords
    processes: dict[Kind, int]
    key_file: str = ""
    run_clock: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was found and made; `error` is a slug of the table of errors, empty where all went well."""

    app_dsn: str = field(default="", repr=False)
    machine_dsn: str = field(default="", repr=False)
    server_version: str = ""
    database: str = ""
    migrations: tuple[str, ...] = ()
    connections: int = 0
    connections_available: int = 0
    has_vector: bool = False
    link: str = field(default="", repr=False)
    error: str = ""
    detail: str = ""


def prepare(orders: Orders) -> Prepared:
    """Check the server, migrate, make the roles, the partitions of the days ahead, and a first way in where none was used.

    Raises Misconfigured and Unavailable as these do, and before anything is changed where the connections do not suffice.
    """
    from aos.store.migrate import migrate
    from aos.store.roles import RolePasswords, ensure_roles
    from aos.store.server import ensure_database, find_first_sign_in, make_partitions, read_server

    owner_dsn = orders.owner_dsn
    if orders.superuser_dsn:
        owner_dsn = ensure_database(orders.superuser_dsn, orders.passwords.owner)
    server = read_server(owner_dsn)
    needed = check_connections(orders.processes, available=server.connections)
    migrations = migrate(owner_dsn)
    logins = ensure_roles(owner_dsn, RolePasswords(app=orders.passwords.app, machine=orders.passwords.machine))
    make_partitions(owner_dsn)
    link = ""
    if orders.key_file:
        first = find_first_sign_in(owner_dsn)
        if not first.signed_in and (first.administrator is not None or not first.has_organization):
            from aos.boot.first_sign_in import make_first_link

            link = make_first_link(logins, first, Path(orders.key_file), run_clock=orders.run_clock)
    return Prepared(
        app_dsn=logins.app,
        machine_dsn=logins.machine,
        server_version=server.version,
        database=server.database,
        migrations=migrations,
        connections=needed,
        connections_available=server.connections,
        has_vector=server.has_vector,
        link=link,
    )


def read_answer(content: bytes) -> Prepared:
    """Return what the process answered, or raise the error that it met."""
    if not content:
        raise AosError("the process that prepares the database ended without an answer")
    answer = msgspec.json.decode(content, type=Prepared)
    if answer.error:
        raise next(cls for cls in error_table() if cls.slug == answer.error)(answer.detail)
    return answer


def main(arguments: list[str]) -> int:
    """Read the orders, carry them out, answer."""
    end_with(int(arguments[0]))
    close_to_others()
    import aos.store.migrate  # noqa: F401  while Postgres starts

    content = sys.stdin.buffer.read()
    if not content:
        return 0
    try:
        answer = prepare(msgspec.json.decode(content, type=Orders))
    except AosError as error:
        answer = Prepared(error=error.slug, detail=error.detail)
    os.write(sys.stdout.fileno(), msgspec.json.encode(answer))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
