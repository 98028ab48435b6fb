"""The two pools of a process that acts: `machine` for the listed statements, `app` for one organization's rows.

No statement runs outside a transaction of its pool. `app` sets the organization first; `machine` runs only what
`MACHINE_STATEMENTS` lists. A lost connection is retried once for a read; writes are repeated only where the caller's
fence makes that safe.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

import msgspec
import psycopg
from psycopg import AsyncConnection, AsyncCursor, AsyncRawCursor
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import set_json_loads
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from aos.kernel.errors import AosError, InvalidRequest, TooLarge, Unavailable
from aos.store.hot.machine import MACHINE_STATEMENTS
from aos.store.sql_files import numbered, sql

log = logging.getLogger("aos.store")

T = TypeVar("T")
Row = DictRow


class Overtaken(Exception):
    """What a transaction locked is not what it asked for: another committed in between. Nothing of it stands; it is made again."""


_BROKEN: Final = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure, Overtaken)
_UNFIT: Final = (psycopg.DataError, UnicodeEncodeError)
"""What no column holds: a NUL or half a surrogate in a text, a number or a time out of range."""
_FAILED: Final = (psycopg.OperationalError, PoolTimeout, *_UNFIT)
_BROKEN_TRIES_MAX: Final = 8
Params = Mapping[str, Any]
Statement: TypeAlias = tuple[str, Params]
"""A listed statement with its parameters."""
TAKE_SECONDS: Final = 5.0
"""How long a statement waits for a connection: callers are told soon that the database is away."""
_SESSION: Final = {"row_factory": dict_row, "autocommit": True, "cursor_factory": AsyncRawCursor}
_SET_ORGANIZATION: Final = "select set_config('aos.organization', $1, true)"
_TAKE_BACK: Final = "do $$ begin raise exception 'a transaction of AOS is taken back before its end'; end $$"
_SLOW_SECONDS: Final = 0.05
_SLOW_RUNS: Final = 3
"""A statement of the machine role that takes longer so many times in a row makes all of them be planned again: a wrong plan is
slow each time, a busy machine now and then."""
_RENEWAL_SECONDS: Final = 1.0
"""The least time between two renewals of all plans."""


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """Where the two roles log in, and how many connections each may hold."""

    app_dsn: str
    machine_dsn: str
    app_connections_max: int = 4
    machine_connections_max: int = 4
    connect_timeout_seconds: float = 10.0


class Database:
    """Owns the pools of one process."""

    def __init__(self, config: DatabaseConfig) -> None:
        self.config = config
        self._app = _pool(config.app_dsn, config.app_connections_max, timeout_seconds=config.connect_timeout_seconds)
        self._machine = _pool(
            config.machine_dsn,
            config.machine_connections_max,
            timeout_seconds=config.connect_timeout_seconds,
            configure=_look_up_by_index,
        )
        self._plans = Plans()

    async def open(self) -> None:
        """Open both pools; raise Unavailable where the server does not answer in time."""
        try:
            await self._app.open(wait=True, timeout=self.config.connect_timeout_seconds)
            await self._machine.open(wait=True, timeout=self.config.connect_timeout_seconds)
        except PoolTimeout as error:
            raise Unavailable("the database does not answer") from error

    async def close(self) -> None:
        """Close both pools."""
        await self._machine.close(timeout=2)
        await self._app.close(timeout=2)

    @asynccontextmanager
    async def machine(self) -> AsyncIterator[MachineTransaction]:
        """Open a transaction that sees every organization, for listed statements only."""
        try:
            async with self._machine.connection() as connection, connection.transaction():
                await self._plans.renew(connection)
                yield MachineTransaction(connection, self._plans)
        except _BROKEN:
            raise
        except _FAILED as error:
            raise unavailable(error) from error

    @asynccontextmanager
    async def app(self, organization_id: UUID) -> AsyncIterator[AppTransaction]:
        """Open a transaction that sees one organization's rows."""
        try:
            async with self._app.connection() as connection, connection.transaction():
                await connection.execute(_SET_ORGANIZATION, (str(organization_id),))
                yield AppTransaction(connection)
        except _BROKEN:
            raise
        except _FAILED as error:
            raise unavailable(error) from error

    async def app_read(self, organization_id: UUID, name: str, params: Params) -> list[Row]:
        """Run one statement that only reads one organization's rows, in one round trip; once more if the connection was lost."""
        try:
            return await self._app_read(organization_id, name, params)
        except Unavailable as error:
            if isinstance(error.__cause__, PoolTimeout):
                raise
            return await self._app_read(organization_id, name, params)

    async def _app_read(self, organization_id: UUID, name: str, params: Params) -> list[Row]:
        try:
            async with self._app.connection() as connection:
                async with _one_transaction(connection):
                    await connection.execute(_SET_ORGANIZATION, (str(organization_id),), prepare=True)
                    cursor = await execute(connection, name, params)
                return await cursor.fetchall()
        except _FAILED as error:
            raise unavailable(error) from error

    async def write(self, work: Callable[[MachineTransaction], Awaitable[T]]) -> T:
        """Run `work` in one transaction, again where the server broke a deadlock (40P01) or a serialization (40001).

        Nothing of a broken try stands, so `work` must only read its arguments. A lost connection is Unavailable: whether
        that commit stands is not known, and only the caller's fence can tell.
        """
        for _ in range(_BROKEN_TRIES_MAX - 1):
            try:
                async with self.machine() as transaction:
                    return await work(transaction)
            except _BROKEN:
                continue
        async with self.machine() as transaction:
            return await work(transaction)

    async def write_in_order(self, *statements: Statement) -> list[Row]:
        """Run listed statements in one transaction and one round trip; return the rows of the last.

        Each sees what those before it have locked and written. Repeated as `write` does, under the same conditions.
        """
        return (await self.write_and_load(statements, ()))[0]

    async def write_and_load(self, writes: Sequence[Statement], loads: Sequence[Statement]) -> list[list[Row]]:
        """As `write_in_order`, with statements behind that read what the last one wrote; return its rows and those of each."""
        for _ in range(_BROKEN_TRIES_MAX - 1):
            try:
                return await self._in_one_trip(writes, loads)
            except _BROKEN:
                continue
        return await self._in_one_trip(writes, loads)

    async def _in_one_trip(self, writes: Sequence[Statement], loads: Sequence[Statement]) -> list[list[Row]]:
        clock = asyncio.get_running_loop()
        try:
            async with self._machine.connection() as connection:
                await self._plans.renew(connection)
                began = clock.time()
                async with _one_transaction(connection):
                    cursors = [await _listed(connection, name, params) for name, params in (*writes, *loads)]
                rows = [await cursor.fetchall() for cursor in cursors[len(writes) - 1 :]]
                self._plans.ran(writes[-1][0], clock.time(), took_seconds=clock.time() - began)
                return rows
        except _BROKEN:
            raise
        except _FAILED as error:
            raise unavailable(error) from error

    async def write_decided(
        self, locks: Sequence[Statement], decide: Callable[[list[list[Row]]], Statement | None]
    ) -> list[Row]:
        """Lock what listed statements lock, in one round trip; decide on their rows; write and commit in another.

        `decide` gets the rows of each lock and returns the statement that writes, None where there is nothing to write; it only
        reads, and raises `Overtaken` where rows that must be there are missing. Returns the rows of that statement.
        Repeated as `write` does, under the same conditions.
        """
        for _ in range(_BROKEN_TRIES_MAX - 1):
            try:
                return await self._in_two_trips(locks, decide)
            except _BROKEN:
                continue
        return await self._in_two_trips(locks, decide)

    async def _in_two_trips(
        self, locks: Sequence[Statement], decide: Callable[[list[list[Row]]], Statement | None]
    ) -> list[Row]:
        clock = asyncio.get_running_loop()
        try:
            async with self._machine.connection() as connection:
                await self._plans.renew(connection)
                began = clock.time()
                async with _one_transaction(connection):
                    locked = [await _listed(connection, name, params) for name, params in locks]
                    wanted = decide([await cursor.fetchall() for cursor in locked])
                    cursor = None if wanted is None else await _listed(connection, *wanted)
                rows = [] if cursor is None else await cursor.fetchall()
                if wanted is not None:
                    self._plans.ran(wanted[0], clock.time(), took_seconds=clock.time() - began)
                return rows
        except _BROKEN:
            raise
        except _FAILED as error:
            raise unavailable(error) from error

    async def read(self, name: str, params: Params | None = None) -> list[Row]:
        """Run one listed statement that only reads, once more if the connection was lost; not if none was to be had in time."""
        try:
            return await self._read(name, params)
        except Unavailable as error:
            if isinstance(error.__cause__, PoolTimeout):
                raise
            return await self._read(name, params)

    async def _read(self, name: str, params: Params | None) -> list[Row]:
        # One statement is its own transaction: to begin and end one would be two more round trips.
        try:
            async with self._machine.connection() as connection:
                await self._plans.renew(connection)
                return await MachineTransaction(connection, self._plans).run(name, params)
        except _BROKEN:
            raise
        except _FAILED as error:
            raise unavailable(error) from error

    async def listen(self, channels: Sequence[str]) -> AsyncConnection[DictRow]:
        """Return a connection of its own that listens; the caller reads `notifies()` and closes it."""
        connection = await self.session()
        for channel in channels:
            await connection.execute(psycopg.sql.SQL("listen {}").format(psycopg.sql.Identifier(channel)))
        return connection

    async def session(self) -> AsyncConnection[DictRow]:
        """Return a connection of the machine role outside the pools, for what lasts as long as a session; closed by the caller."""
        try:
            return await AsyncConnection.connect(
                self.config.machine_dsn,
                autocommit=True,
                row_factory=dict_row,
                connect_timeout=5,
                cursor_factory=AsyncRawCursor,
            )
        except psycopg.OperationalError as error:
            raise unavailable(error) from error


@asynccontextmanager
async def _one_transaction(connection: AsyncConnection[DictRow]) -> AsyncIterator[None]:
    """Make one transaction of all that is sent on a connection: it commits where the pipeline ends, without a word.

    The server takes what comes between two synchronizations of a pipeline as one transaction; to begin and commit one would be
    two statements more. Reading rows on the way asks for them, and ends nothing. What fails here, before all of it was sent,
    is taken back by a failure at the server, for the end of the pipeline would commit the part; to roll back by word would have
    psycopg forget what is prepared, and deallocate it in the midst of what comes next.
    """
    async with connection.pipeline():
        try:
            yield
        except BaseException:
            await _take_back(connection)
            raise


async def _take_back(connection: AsyncConnection[DictRow]) -> None:
    """Have the server undo what was sent of a transaction; does nothing where it has failed there."""
    try:
        cursor = await connection.execute(_TAKE_BACK, prepare=False)
        await cursor.fetchall()
    except psycopg.Error:
        return
    except BaseException:
        connection.pgconn.finish()  # whatever the server has of it ends with the connection
        raise


class Plans:
    """Has the plans of one process's statements made again when one of them was slow.

    Each statement is planned once a connection, and a plan that was made while a table was empty may look rows up by an
    index that serves only an empty table. The server notices when it next analyses the table, a minute later; this notices
    at once, and costs a few milliseconds where a statement was slow for another reason.
    """

    def __init__(self) -> None:
        self._generation = 0
        self._changed_at = 0.0
        self._slow: dict[str, int] = {}
        self._known: WeakKeyDictionary[AsyncConnection[DictRow], int] = WeakKeyDictionary()

    async def renew(self, connection: AsyncConnection[DictRow]) -> None:
        """Forget the plans of a connection that are older than the last slow statement."""
        if self._known.setdefault(connection, self._generation) != self._generation:
            await connection.execute("discard plans")
            self._known[connection] = self._generation

    def ran(self, name: str, now_seconds: float, *, took_seconds: float) -> None:
        """Note how long a statement took."""
        if took_seconds <= _SLOW_SECONDS:
            self._slow.pop(name, None)
            return
        self._slow[name] = self._slow.get(name, 0) + 1
        if self._slow[name] >= _SLOW_RUNS and now_seconds - self._changed_at > _RENEWAL_SECONDS:
            self._slow.clear()
            self._generation += 1
            self._changed_at = now_seconds


@dataclass(frozen=True, slots=True)
class MachineTransaction:
    """A transaction of the machine role."""

    connection: AsyncConnection[DictRow]
    plans: Plans

    async def run(self, name: str, params: Params | None = None) -> list[Row]:
        """Run the statement `sql/<name>.sql` and return its rows; it must be listed."""
        _check_listed(name)
        clock = asyncio.get_running_loop()
        began = clock.time()
        rows = await _run(self.connection, name, params)
        self.plans.ran(name, clock.time(), took_seconds=clock.time() - began)
        return rows


@dataclass(frozen=True, slots=True)
class AppTransaction:
    """A transaction that sees one organization's rows."""

    connection: AsyncConnection[DictRow]

    async def run(self, name: str, params: Params | None = None) -> list[Row]:
        """Run the statement `sql/<name>.sql` and return its rows."""
        return await _run(self.connection, name, params)


def _check_listed(name: str) -> None:
    if name not in MACHINE_STATEMENTS:
        raise KeyError(f"`{name}` is not a statement of the machine role")


async def _listed(connection: AsyncConnection[DictRow], name: str, params: Params) -> AsyncCursor[DictRow]:
    _check_listed(name)
    return await execute(connection, name, params)


async def execute(connection: AsyncConnection[DictRow], name: str, params: Params | None) -> AsyncCursor[DictRow]:
    """Send the statement `sql/<name>.sql` on a connection of these pools, prepared."""
    statement, names = numbered(name)
    return await connection.execute(statement, [params[each] for each in names] if params else None, prepare=True)


async def _run(connection: AsyncConnection[DictRow], name: str, params: Params | None) -> list[Row]:
    cursor = await execute(connection, name, params)
    return await cursor.fetchall() if cursor.description is not None else []


def _pool(
    dsn: str,
    connections_max: int,
    *,
    timeout_seconds: float,
    configure: Callable[[AsyncConnection[DictRow]], Awaitable[None]] | None = None,
) -> AsyncConnectionPool[AsyncConnection[DictRow]]:
    return AsyncConnectionPool(
        dsn,
        min_size=1,
        max_size=connections_max,
        open=False,
        timeout=min(timeout_seconds, TAKE_SECONDS),
        kwargs={**_SESSION, "connect_timeout": 5},
        configure=configure,
    )


async def _look_up_by_index(connection: AsyncConnection[DictRow]) -> None:
    """Keep the planner from scanning a table that was small when a statement's plan was made and is large now.

    The hot statements look rows up by key, in batches of at most some hundred; with prepared plans a wrong guess would
    stand until the next analysis of the table. Their parameters are documents that no plan could depend on, and planning
    takes longer than most of them run: each is planned once.
    """
    set_json_loads(msgspec.json.decode, connection)
    await connection.execute(prefer_indexes().encode("utf-8"))


def prefer_indexes() -> str:
    """Return the statement that gives a connection those settings."""
    return sql("prefer_indexes")


def unavailable(error: Exception) -> AosError:
    """Return the error that callers see for a database that cannot be reached, or does not take the write.

    What no column holds is the fault of whoever sent it: doors check texts where they enter, and this is what is left.
    What no later try could write either is too large, not unavailable: else it would be tried for ever.
    """
    if isinstance(error, _UNFIT):
        log.warning("a value that no column holds reached a statement", exc_info=error)
        return InvalidRequest(
            "a value is none that can be kept (a NUL, or a number or time out of range); nothing was done"
        )
    if isinstance(error, psycopg.errors.ProgramLimitExceeded):
        return TooLarge("what was to be written is more than the database holds in one place; nothing was done")
    return Unavailable(f"the database cannot be reached ({type(error).__name__}); nothing was done, try again")
