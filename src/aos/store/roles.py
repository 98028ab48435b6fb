"""The two roles that running processes log in as: makes them, checks them, and applies their rights.

The owner's login never reaches a running process. Passwords are the caller's: they come from the secrets port and
enter the database as SCRAM verifiers only, so that no statement and no server log holds one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Composed, Identifier, Literal

from aos.kernel.errors import Misconfigured, Unavailable
from aos.store.role_names import RoleNames, role_names
from aos.store.sql_files import sql

_RIGHTS = Path(__file__).parent / "migrations" / "rights.sql"
_CONNECT_TIMEOUT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class RolePasswords:
    """The passwords of the two roles."""

    app: str = field(repr=False)
    machine: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RoleLogins:
    """The connection strings of the two roles; `names` are the roles' own."""

    app: str = field(repr=False)
    machine: str = field(repr=False)
    names: RoleNames


@dataclass(frozen=True, slots=True)
class _Owner:
    """What the owner's login is and may do in this database."""

    database: str
    login: str
    names: RoleNames
    owns: bool
    may_create: bool


def ensure_roles(owner_dsn: str, passwords: RolePasswords) -> RoleLogins:
    """Make the two roles where they are missing, apply their rights, and return their logins.

    Idempotent, and the repair of a database that was restored or cloned: its roles' names differ from those it was
    copied from. The schema must be migrated. A role whose password is another gets this one.
    Raises Misconfigured, naming `aos doctor --sql`, where the login does not own the database, or lacks CREATEROLE and
    a role is missing or not as it should be; Unavailable where the server cannot be reached.
    """
    try:
        with _connect(owner_dsn) as connection:
            _run(connection, "lock_roles")
            owner = _owner(connection)
            if not owner.owns:
                raise _refuse(owner, f"does not own the database `{owner.database}`")
            _make_missing(connection, owner, passwords)
            _check_harmless(connection, owner)
            apply_rights(connection, owner.names)
        logins = _logins(owner_dsn, owner.names, passwords)
        with _connect(owner_dsn) as connection:
            _run(connection, "lock_roles")
            _correct_passwords(connection, owner, passwords, logins=logins)
    except psycopg.OperationalError as error:
        raise Unavailable(f"cannot reach the database that AOS_DATABASE_URL names: {error}") from error
    return logins


def apply_rights(connection: psycopg.Connection, names: RoleNames) -> None:
    """Run `rights.sql` for these roles in the connection's transaction; a policy that is already so stays untouched."""
    text = re.sub(r"\{(app|machine)\}", lambda found: str(getattr(names, found[1])), _RIGHTS.read_text("utf-8"))
    connection.execute(text.encode())


def role_sql(owner_dsn: str, passwords: RolePasswords) -> str:
    """Return what an administrator runs, once, where the login may not make roles; it holds verifiers, no password."""
    try:
        with _connect(owner_dsn) as connection:
            owner = _owner(connection)
            lines = [
                _define_role(connection, name, password=password) for name, password in _pairs(owner.names, passwords)
            ]
            if not owner.owns:
                names = Identifier(owner.database), Identifier(owner.login)
                lines.append(SQL("alter database {} owner to {}").format(*names))
            return "".join(f"{line.as_string(connection)};\n" for line in lines)
    except psycopg.OperationalError as error:
        raise Unavailable(f"cannot reach the database that AOS_DATABASE_URL names: {error}") from error


def _make_missing(connection: psycopg.Connection, owner: _Owner, passwords: RolePasswords) -> None:
    for name, password in _pairs(owner.names, passwords):
        if _exists(connection, name):
            continue
        if not owner.may_create:
            raise _refuse(owner, f"may not make the role `{name}`, for it lacks CREATEROLE")
        connection.execute(_define_role(connection, name, password=password))


def _correct_passwords(
    connection: psycopg.Connection, owner: _Owner, passwords: RolePasswords, *, logins: RoleLogins
) -> None:
    """Give a role that cannot log in with its password this password."""
    for (name, password), dsn in zip(_pairs(owner.names, passwords), (logins.app, logins.machine), strict=True):
        if _can_log_in(dsn):
            continue
        try:
            connection.execute(_define_role(connection, name, password=password))
        except psycopg.errors.InsufficientPrivilege:
            raise _refuse(owner, f"may not change the password of the role `{name}`, which is another") from None


def _check_harmless(connection: psycopg.Connection, owner: _Owner) -> None:
    """Refuse roles that could pass by the row policies."""
    unfit = _run(connection, "find_unfit_roles", roles=[owner.names.app, owner.names.machine])
    if unfit:
        raise _refuse(
            owner, f"finds the role `{unfit[0][0]}` without LOGIN, or with a right that it must not have (SUPERUSER, "
            "BYPASSRLS, CREATEROLE, CREATEDB, REPLICATION, or the database owner's own)"
        )  # fmt: skip


def _define_role(connection: psycopg.Connection, name: str, *, password: str) -> Composed:
    """Return the statement that makes the role, or gives the one that exists this password, with its verifier."""
    verifier = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    # Statements about roles take no parameters: names and verifier are quoted here.
    verb = "alter" if _exists(connection, name) else "create"
    return SQL(verb + " role {} login password {}").format(Identifier(name), Literal(verifier))


def _exists(connection: psycopg.Connection, role: str) -> bool:
    return bool(_run(connection, "find_role", role=role))


def _can_log_in(dsn: str) -> bool:
    try:
        psycopg.connect(dsn, connect_timeout=_CONNECT_TIMEOUT_SECONDS).close()
    except psycopg.OperationalError:
        return False
    return True


def _pairs(names: RoleNames, passwords: RolePasswords) -> tuple[tuple[str, str], tuple[str, str]]:
    return (names.app, passwords.app), (names.machine, passwords.machine)


def _logins(owner_dsn: str, names: RoleNames, passwords: RolePasswords) -> RoleLogins:
    app = make_conninfo(owner_dsn, user=names.app, password=passwords.app)
    machine = make_conninfo(owner_dsn, user=names.machine, password=passwords.machine)
    return RoleLogins(app=app, machine=machine, names=names)


def _owner(connection: psycopg.Connection) -> _Owner:
    database, oid, login, owns, may_create = _run(connection, "find_owner")[0]
    return _Owner(database=database, login=login, names=role_names(oid), owns=owns, may_create=may_create)


def _run(connection: psycopg.Connection, name: str, **params: object) -> list[tuple[Any, ...]]:
    return connection.execute(sql(name).encode(), params).fetchall()


def _connect(dsn: str) -> psycopg.Connection:
    return psycopg.connect(dsn, connect_timeout=_CONNECT_TIMEOUT_SECONDS, application_name="aos roles")


def _refuse(owner: _Owner, what: str) -> Misconfigured:
    return Misconfigured(
        f"the login `{owner.login}` of AOS_DATABASE_URL {what}: have an administrator run what `aos doctor --sql` prints"
    )
