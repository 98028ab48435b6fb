"""One SELECT in a read-only transaction of another database: the implementation of `SqlReader`.

- A statement is declared as a cursor by the extended protocol: it is one statement, and one that answers rows. Its arguments
  go apart from it. The transaction is read-only before the statement is seen, and is rolled back after it.
- The host must be permitted at every call; a connection goes to an address that was looked at, under the host's own name.
- Connections are kept for a while, a few for each database and login of an organization, and are wiped before they are used
  again. Nothing of the environment, no password file and no service file is read for them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from aos.drivers.sql_reader.values import Rows, TooWide
from aos.kernel.errors import UpstreamFailed
from aos.kernel.json import Json
from aos.kernel.ports import Addresses, ToolOutcome
from aos.kernel.sql_tools import RESULT_BYTES_MAX, SqlServer

CONNECTIONS_MAX: Final = 4
"""Connections to one database as one user, of one organization."""
ALL_CONNECTIONS_MAX: Final = 32
IDLE_SECONDS: Final = 30.0
CONNECT_SECONDS_MAX: Final = 10.0
_FETCH: Final = 50
_ERROR_CHARS: Final = 1_000

_Connection = psycopg.AsyncConnection[tuple[Any, ...]]
_Key = tuple[UUID, SqlServer, tuple[str, ...]]


@dataclass(slots=True)
class _Place:
    """The connections to one database as one user."""

    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONNECTIONS_MAX))
    free: list[tuple[_Connection, float]] = field(default_factory=list)
    users: int = 0


class PostgresReader:
    """Implements `SqlReader`; it belongs to the event loop of its first call."""

    def __init__(self, addresses: Addresses, *, idle_seconds: float = IDLE_SECONDS) -> None:
        self._addresses = addresses
        self._idle_seconds = idle_seconds
        self._places: dict[_Key, _Place] = {}
        self._room = asyncio.Semaphore(ALL_CONNECTIONS_MAX)
        self._sweeper: asyncio.Task[None] | None = None

    async def read(
        self,
        server: SqlServer,
        query: str,
        arguments: Mapping[str, Json],
        *,
        organization_id: UUID,
        permitted: tuple[str, ...],
        rows: int,
        deadline_seconds: float,
    ) -> ToolOutcome:
        """Run one SELECT and return its rows; see `SqlReader`."""
        key = (organization_id, server, permitted)
        asked = _Asked()
        try:
            async with asyncio.timeout(deadline_seconds), self._taken(key, deadline_seconds) as connection:
                asked.sent = True
                value = await _read(connection, query, arguments, rows=rows, seconds=deadline_seconds)
        except UpstreamFailed as error:
            return ToolOutcome(ok=False, error=error.detail, sent=False, frees_key=True)
        except TimeoutError:
            detail = f"the database did not answer within {deadline_seconds:g} seconds"
            return ToolOutcome(ok=False, error=detail, sent=asked.sent)
        except TooWide as error:
            return ToolOutcome(ok=False, error=str(error))
        except (psycopg.Error, ValueError, OSError) as error:
            return ToolOutcome(ok=False, error=_said(error, server), sent=asked.sent)
        return ToolOutcome(ok=True, value=value)

    async def close(self) -> None:
        """Close every connection that is free; calls under way close their own."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._sweeper
            self._sweeper = None
        places, self._places = list(self._places.values()), {}
        for place in places:
            for connection, _ in place.free:
                await connection.close()
            place.free.clear()

    @asynccontextmanager
    async def _taken(self, key: _Key, seconds: float) -> AsyncIterator[_Connection]:
        """Take a connection, a free one or a new one; give it back where nothing went wrong with it."""
        place = self._places.setdefault(key, _Place())
        place.users += 1
        try:
            async with place.room, self._room:
                connection = await self._usable(place, key, seconds)
                try:
                    yield connection
                    await connection.rollback()
                    await _wipe(connection)
                except BaseException:
                    await connection.close()
                    raise
                await self._keep(place, key, connection)
        finally:
            place.users -= 1
            if not place.users and not place.free and self._places.get(key) is place:
                del self._places[key]

    async def _usable(self, place: _Place, key: _Key, seconds: float) -> _Connection:
        _, server, permitted = key
        found = await self._addresses.permitted(server.host, server.port, permitted=permitted)
        while place.free:
            connection, until = place.free.pop()
            if until > time.monotonic() and not connection.closed and connection.info.hostaddr in found:
                return connection
            await connection.close()
        return await _connect(server, found, seconds=min(CONNECT_SECONDS_MAX, seconds))

    async def _keep(self, place: _Place, key: _Key, connection: _Connection) -> None:
        """Keep a connection that others may use: never more than there is room for."""
        if self._places.get(key) is not place:
            await connection.close()
            return
        place.free.append((connection, time.monotonic() + self._idle_seconds))
        if self._sweeper is None or self._sweeper.done():
            self._sweeper = asyncio.create_task(self._sweep(), name="sql-reader")

    async def _sweep(self) -> None:
        """Close what has been free for too long, until nothing is free."""
        while any(place.free for place in self._places.values()):
            await asyncio.sleep(self._idle_seconds / 2)
            for key, place in list(self._places.items()):
                old = [each for each in place.free if each[1] <= time.monotonic()]
                place.free = [each for each in place.free if each not in old]
                if not place.free and not place.users and self._places.get(key) is place:
                    del self._places[key]
                for connection, _ in old:
                    await connection.close()


@dataclass(slots=True)
class _Asked:
    """Whether the statement was sent."""

    sent: bool = False


async def _connect(server: SqlServer, addresses: list[str], *, seconds: float) -> _Connection:
    """Connect to the first address that answers; nothing is taken from the environment or a file."""
    more: dict[str, Any] = {"sslmode": server.ssl_mode} if server.ssl_mode else {"sslmode": "prefer"}
    if server.system_authorities:
        more["sslrootcert"] = "system"
    failure: Exception | None = None
    for address in addresses:
        try:
            return await psycopg.AsyncConnection.connect(
                host=server.host,
                hostaddr=address,
                port=server.port,
                dbname=server.database,
                user=server.user,
                password=server.password,
                passfile="/dev/null",
                options="-c default_transaction_read_only=on",
                client_encoding="UTF8",
                application_name="aos-tool",
                connect_timeout=max(2, int(seconds / max(len(addresses), 1))),
                target_session_attrs="any",
                gssencmode="disable",
                autocommit=False,
                prepare_threshold=None,
                **more,
            )
        except psycopg.OperationalError as error:
            failure = error
    detail = f"no connection to the database at `{server.host}:{server.port}`: {_said(failure, server)}"
    raise UpstreamFailed(detail, sent=False)


async def _read(
    connection: _Connection, query: str, arguments: Mapping[str, Json], *, rows: int, seconds: float
) -> Json:
    """Return `{rows, truncated}` of one statement."""
    await connection.set_read_only(True)
    # A little less than the call's own time, so that the database ends it and the connection stays in order.
    limit = f"{max(1, int(seconds * 900))}ms"
    await connection.execute("select set_config('statement_timeout', %s, true)", [limit])
    given = {name: Jsonb(value) if isinstance(value, dict) else value for name, value in arguments.items()}
    async with connection.cursor(name="reading") as cursor:
        await cursor.execute(query.encode(), given)
        columns = [column.name for column in cursor.description or ()]
        found = Rows(columns, rows_max=rows, bytes_max=RESULT_BYTES_MAX)
        while batch := await cursor.fetchmany(_FETCH):
            if not all(found.add(row) for row in batch):
                break
    return {"rows": found.rows, "truncated": found.truncated}


async def _wipe(connection: _Connection) -> None:
    """Leave nothing of a call on a connection: no setting, no lock, no plan."""
    await connection.set_autocommit(True)
    await connection.execute("discard all")
    await connection.set_autocommit(False)


def _said(error: Exception | None, server: SqlServer) -> str:
    """Return what a database says is wrong, in one bounded line without the login."""
    said = error.diag.message_primary if isinstance(error, psycopg.Error) else ""
    text = " ".join((said or str(error)).split())
    return text.replace(server.password, "[secret]")[:_ERROR_CHARS] if server.password else text[:_ERROR_CHARS]
