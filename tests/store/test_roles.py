"""Roles: made, checked and repaired by the owner's login; powerless beyond their rows; right again after a restore."""

from __future__ import annotations

import functools
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from aos.drivers.embedded_postgres.binaries import Binaries, installed_binaries, wheel_binaries
from aos.kernel.errors import Misconfigured, Unavailable
from aos.store.migrate import known_migrations, migrate
from aos.store.role_names import role_names
from aos.store.roles import RolePasswords, ensure_roles, role_sql
from tests.databases import OWNER, PASSWORD, PASSWORDS, Database, Server, cloned, server
from tests.servers import NEWEST_MAJOR, OLDEST_MAJOR, POSTGRES_15, cluster
from tests.store.sample_rows import make_world

OTHERS = RolePasswords(app="another-app", machine="another-machine")


@pytest.fixture(params=[OLDEST_MAJOR, NEWEST_MAJOR], ids=["postgres15", "postgres18"])
def any_server(request: pytest.FixtureRequest) -> Server:
    return server(request.param)


@pytest.fixture
def empty(any_server: Server) -> Iterator[str]:
    """The owner's DSN of a database that nobody has migrated."""
    yield from empty_database(any_server, OWNER)


@pytest.fixture
def weak(any_server: Server) -> Iterator[str]:
    """The DSN of a login that owns its database and may not make roles."""
    with psycopg.connect(any_server.superuser, autocommit=True) as administrator:
        administrator.execute(f"create role weak login password '{PASSWORD}'")
        try:
            for owner in empty_database(any_server, "weak"):
                yield make_conninfo(owner, user="weak")
        finally:
            administrator.execute("drop role weak")


def empty_database(server: Server, owner: str) -> Iterator[str]:
    with psycopg.connect(server.superuser, autocommit=True) as administrator:
        administrator.execute(f"create database empty owner {owner} encoding 'UTF8' template template0")
        try:
            yield make_conninfo(server.owner, dbname="empty")
        finally:
            drop(administrator, "empty")


def drop(administrator: psycopg.Connection, database: str) -> None:
    """Drop a database and the roles that it gave its name to."""
    oid = one(administrator, "select oid::int from pg_database where datname = %s", database)
    administrator.execute(f"drop database {database} with (force)")
    names = role_names(oid)
    administrator.execute(f"drop role if exists {names.app}, {names.machine}")


def one(connection: psycopg.Connection, statement: str, *params: object) -> Any:
    row = connection.execute(statement, params).fetchone()
    assert row is not None
    return row[0]


def run(dsn: str, statement: str) -> Any:
    with psycopg.connect(dsn) as connection:
        return one(connection, statement)


def test_an_empty_database_gets_schema_and_roles_and_a_second_time_changes_nothing(empty: str) -> None:
    assert migrate(empty) == known_migrations()
    first = ensure_roles(empty, PASSWORDS)
    acl = "select array_agg(relacl::text order by oid)::text from pg_class where relnamespace = 'public'::regnamespace"
    policies = "select array_agg(oid order by oid)::text from pg_policy"
    before = run(empty, acl), run(empty, policies)
    assert migrate(empty) == ()
    assert ensure_roles(empty, PASSWORDS) == first
    assert (run(empty, acl), run(empty, policies)) == before
    assert run(first.app, "select current_user::text") == first.names.app
    assert run(first.machine, "select current_user::text") == first.names.machine


def test_an_extension_that_somebody_else_put_into_the_schema_is_left_alone(any_server: Server, empty: str) -> None:
    migrate(empty)
    first = ensure_roles(empty, PASSWORDS)
    name = conninfo_to_dict(empty)["dbname"]
    with psycopg.connect(any_server.superuser, dbname=str(name), autocommit=True) as superuser:
        superuser.execute("create function foreigners() returns int language sql as 'select 1'")
        superuser.execute("revoke all on function foreigners() from public")
    assert ensure_roles(empty, PASSWORDS) == first


def test_two_processes_migrate_an_empty_database_once(empty: str) -> None:
    done: list[tuple[str, ...]] = []
    rivals = [threading.Thread(target=lambda: done.append(migrate(empty))) for _ in range(2)]
    for rival in rivals:
        rival.start()
    for rival in rivals:
        rival.join()
    assert sorted(done) == [(), known_migrations()]


def test_a_database_that_a_newer_version_migrated_is_refused(database: Database) -> None:
    with psycopg.connect(database.owner) as owner:
        owner.execute("insert into django_migrations (app, name, applied) values ('store', '9999_later', now())")
    with pytest.raises(Misconfigured, match="`9999_later`"):
        migrate(database.owner)


def test_a_database_in_another_encoding_is_refused(postgres_server: Server) -> None:
    with psycopg.connect(postgres_server.superuser, autocommit=True) as administrator:
        administrator.execute(
            f"create database latin owner {OWNER} encoding 'LATIN1' locale 'C' locale_provider libc template template0"
        )
        with pytest.raises(Misconfigured, match="`LATIN1`"):
            migrate(make_conninfo(postgres_server.owner, dbname="latin"))
        administrator.execute("drop database latin with (force)")


def test_a_server_that_cannot_be_reached_is_named_unavailable(postgres_server: Server) -> None:
    nowhere = make_conninfo(postgres_server.owner, host="127.0.0.1", port=1)
    for attempt in (migrate, functools.partial(ensure_roles, passwords=PASSWORDS)):
        with pytest.raises(Unavailable, match="AOS_DATABASE_URL") as caught:
            attempt(nowhere)
        assert PASSWORD not in str(caught.value)


def test_no_running_role_owns_anything_or_can_get_past_the_policies(any_database: Database) -> None:
    roles = [any_database.roles.app, any_database.roles.machine]
    with psycopg.connect(any_database.owner) as owner:
        statement = """
            select rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication,
              exists (select from pg_shdepend where refobjid = pg_roles.oid and deptype = 'o'),
              exists (select from pg_auth_members where member = pg_roles.oid),
              has_schema_privilege(rolname, 'public', 'create'),
              has_database_privilege(rolname, current_database(), 'create')
            from pg_roles where rolname = any(%s)
        """
        found = owner.execute(statement, [roles]).fetchall()
    assert found == [(False,) * 9] * 2


@pytest.mark.parametrize("change", ["bypassrls", "superuser", "createrole", "nologin"])
def test_a_role_that_could_get_past_the_policies_is_refused(any_server: Server, empty: str, change: str) -> None:
    migrate(empty)
    names = ensure_roles(empty, PASSWORDS).names
    with psycopg.connect(any_server.superuser) as administrator:
        administrator.execute(f"alter role {names.machine} {change}")
    with pytest.raises(Misconfigured, match=f"`{names.machine}`.*aos doctor --sql"):
        ensure_roles(empty, PASSWORDS)


def test_a_role_with_another_password_gets_this_one(empty: str) -> None:
    migrate(empty)
    ensure_roles(empty, PASSWORDS)
    logins = ensure_roles(empty, OTHERS)
    assert conninfo_to_dict(logins.app)["password"] == OTHERS.app
    for dsn in (logins.app, logins.machine):
        run(dsn, "select 1")


def test_where_the_login_may_not_make_roles_the_printed_statements_are_enough(any_server: Server, weak: str) -> None:
    migrate(weak)
    with pytest.raises(Misconfigured, match=r"`weak`.*CREATEROLE.*aos doctor --sql"):
        ensure_roles(weak, PASSWORDS)
    printed = role_sql(weak, PASSWORDS)
    assert PASSWORD not in printed
    administer(any_server, printed)
    for dsn in (ensure_roles(weak, PASSWORDS).app, ensure_roles(weak, PASSWORDS).machine):
        assert run(dsn, "select count(*) from agent") == 0
    with pytest.raises(Misconfigured, match=r"may not change the password.*aos doctor --sql"):
        ensure_roles(weak, OTHERS)
    administer(any_server, role_sql(weak, OTHERS))
    ensure_roles(weak, OTHERS)


def test_a_login_that_does_not_own_the_database_is_told_what_to_run(any_server: Server, weak: str) -> None:
    with psycopg.connect(any_server.superuser, autocommit=True) as administrator:
        administrator.execute(f"alter database empty owner to {OWNER}")
    with pytest.raises(Misconfigured, match=r"does not own the database `empty`.*aos doctor --sql"):
        ensure_roles(weak, PASSWORDS)
    administer(any_server, role_sql(weak, PASSWORDS))
    migrate(weak)
    ensure_roles(weak, PASSWORDS)


def administer(server: Server, statements: str) -> None:
    with psycopg.connect(server.superuser) as administrator:
        administrator.execute(statements.encode())


def test_roles_of_the_database_it_was_cloned_from_lose_their_rights(any_database: Database) -> None:
    with psycopg.connect(any_database.owner) as owner:
        make_world(owner, "ours")
    assert run(any_database.machine, "select count(*) from agent") == 1
    logins = ensure_roles(any_database.owner, PASSWORDS)
    assert logins.names != any_database.roles
    assert run(logins.machine, "select count(*) from agent") == 1
    for dsn in (any_database.machine, any_database.app):
        for table in ("agent", "person", "organization", "process", "partitioned"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                run(dsn, f"select count(*) from {table}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            run(dsn, "select aos_make_partitions(current_date, 1)")


@pytest.mark.parametrize("major", [OLDEST_MAJOR, NEWEST_MAJOR])
@pytest.mark.parametrize("elsewhere", [False, True], ids=["same-server", "another-server"])
def test_a_dump_restored_into_another_database_gets_its_rights_back(
    major: int, elsewhere: bool, tmp_path: Path
) -> None:
    source = server(major)
    for database in cloned(source):
        with psycopg.connect(database.owner) as owner:
            ours, _ = make_world(owner, "ours"), make_world(owner, "theirs")
        program(major, "pg_dump", "--no-owner", "--file", tmp_path / "dump.sql", database.owner)
        if elsewhere:
            with cluster(major, durable=False) as running:
                administrator = running.superuser_dsn()
                with psycopg.connect(administrator, autocommit=True) as connection:
                    connection.execute(f"create role {OWNER} login createrole password '{PASSWORD}'")
                _restore(administrator, major, tmp_path, ours.organization_id)
        else:
            _restore(source.superuser, major, tmp_path, ours.organization_id)


def _restore(administrator: str, major: int, folder: Path, organization_id: object) -> None:
    with psycopg.connect(administrator, autocommit=True) as connection:
        connection.execute(f"create database restored owner {OWNER} encoding 'UTF8' template template0")
        owner = make_conninfo(administrator, dbname="restored", user=OWNER, password=PASSWORD)
        program(major, "psql", "--quiet", "--no-psqlrc", "--file", folder / "dump.sql", owner)
        assert migrate(owner) == ()
        logins = ensure_roles(owner, PASSWORDS)
        with psycopg.connect(logins.app) as app:
            assert one(app, "select count(*) from agent") == 0
            app.execute("select set_config('aos.organization', %s, true)", [str(organization_id)])
            assert one(app, "select count(*) from agent") == 1
        assert run(logins.machine, "select count(*) from record") == 2
        assert run(logins.machine, "select aos_make_partitions(current_date + 30, 1)") == 6
        strangers = "select count(*) from pg_policy where not pg_get_userbyid(polroles[1]) = any(%s)"
        with psycopg.connect(owner) as checked:
            assert one(checked, strangers, [logins.names.app, logins.names.machine]) == 0
        drop(connection, "restored")


def program(major: int, name: str, *arguments: object) -> None:
    """Run a client program of that major version; what it could not restore is left to `ensure_roles`."""
    binaries: Binaries = wheel_binaries() if major == NEWEST_MAJOR else installed_binaries(POSTGRES_15)
    subprocess.run([binaries.program(name), *map(str, arguments)], check=True, capture_output=True, timeout=60)
