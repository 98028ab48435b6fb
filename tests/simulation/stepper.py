"""Steps of several processes that share a database: each statement, commit and call of a tool waits for its turn.

One step is made at a time, and the seed draws whose. A statement that waits for a lock is left waiting while others go on,
exactly as the server would have it. A process dies between any two steps, or after a step of which it never hears: its
coroutines never run again, and what it had not committed is rolled back. The pool is AOS's own `Database` with these
connections in the place of its pools.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import msgspec
import psycopg
from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads

from aos.store.hot.database import Database, DatabaseConfig, Plans, prefer_indexes
from aos.store.sql_files import FOLDER, sql
from tests.databases import Database as TestDatabase
from tests.simulation.run_world import Mutant
from tests.simulation.statements import as_written
from tests.simulation.virtual_loop import VirtualLoop

TRACE_LENGTH = 60
SPINS_MAX = 20_000
"""Turns of the loop without a wait past which something only turns in circles."""
CONNECTIONS_MAX = {"machine": 3, "app": 1}
CLOCK_SECONDS = 0.5
"""How far the clock of a transaction may lag behind before it is set again."""
READS = ("lock_", "load_", "find_")
"""How statements are named that write nothing."""
ANY_STEP = "any"
NEVER = datetime.min.replace(tzinfo=UTC)
SET_CLOCK = "select set_config('aos.now', %s, false)"
FENCED = "select id, claim_token from task where id = any(%s::uuid[])"


class Broken(AssertionError):
    """Something that must hold does not."""


@dataclass(eq=False)
class Turn:
    """A step that waits to be made."""

    process: Process
    label: str
    go: asyncio.Future[None]


class Process:
    """One process of AOS in the simulation, until it dies."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.stage = stage
        self.name = name
        self.alive = True
        self.dies_after_step = False
        self.halted_until_seconds = 0.0
        self.halted_until_steps: list[str] = []
        self.wires: list[Wire] = []

    def halt(self, seconds: float, steps: Sequence[str]) -> None:
        """Stand still, as a process does that is stopped and continued: until others have made these steps, or so long."""
        self.halted_until_seconds = self.stage.loop.now_seconds + seconds
        self.halted_until_steps = list(steps)

    def is_halted(self) -> bool:
        """Say whether nothing of it moves."""
        return bool(self.halted_until_steps) and self.stage.loop.now_seconds < self.halted_until_seconds

    def sees(self, turn: Turn) -> None:
        """Take note of another's step."""
        if turn.process is not self and self.halted_until_steps[:1] in ([turn.label], [ANY_STEP]):
            del self.halted_until_steps[0]

    async def turn(self, label: str) -> None:
        """Wait for the turn; a dead process never gets one."""
        await self._stays()
        turn = Turn(self, label, asyncio.get_running_loop().create_future())
        self.stage.waiting.append(turn)
        try:
            await turn.go
        except asyncio.CancelledError:
            if turn in self.stage.waiting:
                self.stage.waiting.remove(turn)
            raise

    async def heard(self) -> None:
        """Return what a step came to, unless the process has died meanwhile."""
        if self.dies_after_step:
            self.alive = False
        await self._stays()

    async def _stays(self) -> None:
        if self.stage.over:
            raise asyncio.CancelledError
        if not self.alive:
            grave: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.stage.graves.append(grave)  # what nobody refers to is collected, and its `finally` would run
            await grave


@dataclass(eq=False)
class Wire:
    """A real connection, lent to one process at a time."""

    real: AsyncConnection[Any]
    role: str
    begun: bool = False
    clock: datetime = NEVER
    blocked: bool = False
    broken: bool = False


@dataclass
class Stage:
    """Whose turn it is, and what time."""

    loop: VirtualLoop
    database: TestDatabase
    monitor: AsyncConnection[Any]
    start: datetime
    mutant: Mutant | None = None
    skew_seconds: float = 0.0
    over: bool = False
    steps: int = 0
    ended: int = 0
    waiting: list[Turn] = field(default_factory=list)
    graves: list[asyncio.Future[None]] = field(default_factory=list)
    under_way: dict[Wire, str] = field(default_factory=dict)
    opening: int = 0
    free: list[Wire] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    trace: deque[str] = field(default_factory=lambda: deque(maxlen=TRACE_LENGTH))
    digest: int = 0
    problems: list[str] = field(default_factory=list)
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.wires = list(self.free)
        self.loop.on_idle(self._woken.set)

    @property
    def now(self) -> datetime:
        """Return the database's time."""
        return self.start + timedelta(seconds=self.loop.now_seconds + self.skew_seconds)

    def note(self, what: str) -> None:
        """Write down what is done: the same seed does the same."""
        self.digest = zlib.crc32(what.encode(), self.digest)
        self.trace.append(f"{self.steps} {what}")

    def wake(self) -> None:
        """Say that a statement under way has ended."""
        self.ended += 1
        self._woken.set()

    async def settle(self) -> None:
        """Return when nothing can happen but by a turn or a timer: every statement has ended or waits for a lock."""
        for _ in range(2_000):
            await asyncio.sleep(0)
            spins = 0
            while self.loop.has_work:
                spins += 1
                if spins > SPINS_MAX:
                    raise AssertionError("something never waits")
                await asyncio.sleep(0)
            if all(wire.blocked for wire in self.under_way) and not self.opening:
                ended = self.ended
                if not await self._find_unblocked() and ended == self.ended:
                    return
            else:
                self._woken.clear()
                await self._woken.wait()
                await self._find_blocked()
        told = {f"{name} {wire.role}": wire.blocked for wire, name in self.under_way.items()}
        raise AssertionError(f"a statement neither ends nor waits for a lock: {told}, {self.opening} opening")

    async def _find_unblocked(self) -> bool:
        """Say whether a statement that waited for a lock has it now."""
        found = False
        for wire, blocked in (await self._blocking(list(self.under_way))).items():
            if not blocked and wire in self.under_way:
                wire.blocked = False
                found = True
        return found

    async def _find_blocked(self) -> None:
        running = [wire for wire in self.under_way if not wire.blocked]
        if running and not self.loop.has_work:
            for wire, blocked in (await self._blocking(running)).items():
                wire.blocked = blocked

    async def _blocking(self, wires: list[Wire]) -> dict[Wire, bool]:
        if not wires:
            return {}
        pids = [wire.real.info.backend_pid for wire in wires]
        cursor = await self.monitor.execute(
            "select pid, cardinality(pg_blocking_pids(pid)) > 0 as blocked from unnest(%s::int[]) as pid", (pids,)
        )
        told = {row["pid"]: row["blocked"] for row in await cursor.fetchall()}
        return {wire: told[pid] for wire, pid in zip(wires, pids, strict=True)}

    def ready(self) -> list[Turn]:
        """Return the steps that could be made now; in which order they came to wait may be the machine's doing."""
        awake = [turn for turn in self.waiting if not turn.process.is_halted()]
        return sorted(awake, key=lambda turn: (turn.process.name, turn.label))

    async def make(self, turn: Turn, *, deadly: bool = False) -> None:
        """Make one step; where it is deadly, its process dies without hearing of it."""
        self.waiting.remove(turn)
        self.steps += 1
        self.note(f"{turn.process.name}: {turn.label}" + (" and dies" if deadly else ""))
        turn.process.dies_after_step = deadly
        for process in {each.process for each in self.waiting}:
            process.sees(turn)
        self.loop.now_seconds += 0.001
        turn.go.set_result(None)
        await self.settle()
        if deadly:
            await self.kill(turn.process)

    async def kill(self, process: Process) -> None:
        """End a process between two steps; its open transactions are rolled back."""
        process.alive = False
        self.graves += [turn.go for turn in self.waiting if turn.process is process]
        self.waiting = [turn for turn in self.waiting if turn.process is not process]
        await self._drop(*(wire for wire in process.wires if wire in self.under_way))
        for wire in process.wires:
            if not wire.broken:
                if wire.begun:
                    await wire.real.execute("rollback")
                wire.begun = False
                self.free.append(wire)
        process.wires = []
        await self.settle()

    async def cut(self, process: Process) -> None:
        """Take a living process's connections away; it finds out by itself."""
        await self._drop(*process.wires)
        await self.settle()

    async def _drop(self, *wires: Wire) -> None:
        """End connections at the server, and return when it has forgotten them and all that they held."""
        if not wires:
            return
        pids = [wire.real.info.backend_pid for wire in wires]
        for wire in wires:
            wire.broken = True
        await self.monitor.execute("select pg_terminate_backend(pid) from unnest(%s::int[]) as pid", (pids,))
        for _ in range(10_000):
            cursor = await self.monitor.execute("select 1 from pg_stat_activity where pid = any(%s)", (pids,))
            if await cursor.fetchone() is None:
                return
        raise AssertionError("a connection does not end")

    async def lend(self, process: Process, role: str) -> Wire:
        """Return a connection of that role for a process."""
        for wire in self.free:
            if wire.role == role:
                self.free.remove(wire)
                break
        else:
            self.opening += 1
            try:
                wire = Wire(await self._connect(role), role)
                self.wires.append(wire)
            finally:
                self.opening -= 1
                self.wake()
        if process.alive:
            process.wires.append(wire)
        else:
            self.free.append(wire)
        await process.heard()
        return wire

    async def give_back(self) -> list[Wire]:
        """Return every connection that is whole, as it is lent."""
        whole = [wire for wire in self.wires if not wire.broken and not wire.real.closed and wire not in self.under_way]
        for wire in self.wires:
            if wire not in whole:
                await wire.real.close()
            elif wire.begun:
                await wire.real.execute("rollback")
                wire.begun = False
            wire.clock = NEVER
        return whole

    async def _connect(self, role: str) -> AsyncConnection[Any]:
        dsn = self.database.test_machine if role == "machine" else self.database.test_app
        real = await AsyncConnection.connect(dsn, autocommit=True, row_factory=dict_row)
        if role == "machine":
            set_json_loads(msgspec.json.decode, real)
            await real.execute(prefer_indexes().encode())
        return real

    def text_of(self, text: str) -> str | None:
        """Return the statement to run in a statement's place: itself, its mutant, or none."""
        mutant = self.mutant
        if mutant is None or text != sql(mutant.statement):
            return text
        if mutant.leave_out:
            return None
        assert mutant.find in text, f"mutant `{mutant.name}` finds nothing to break"
        return text.replace(mutant.find, mutant.replace)


class _NoRows:
    """What a statement returns that a mutant leaves out."""

    description = None

    async def fetchall(self) -> list[Any]:
        return []


class SteppedConnection:
    """A connection of one process, as AOS's `Database` uses it."""

    def __init__(self, process: Process, wire: Wire) -> None:
        self._process = process
        self._stage = process.stage
        self._wire = wire
        self._last = ""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        try:
            yield
        except BaseException:
            if self._wire.begun and self._process.alive and not self._stage.over:
                await self._run("rollback")
                self._wire.begun = False
            raise
        if self._wire.begun:
            await self._process.turn(f"commit {self._last}")
            try:
                await self._run("commit")
                self._wire.begun = False
            finally:
                await self._process.heard()

    def pipeline(self) -> AbstractAsyncContextManager[None]:
        """Return a transaction: that is what a pipeline is to the server, though each statement here is a trip of its own."""
        return self.transaction()

    async def execute(self, query: bytes | str, params: Any = None, *, prepare: bool | None = None) -> Any:
        text, params = as_written(query.decode() if isinstance(query, bytes) else query, params)
        self._last = _label(text)
        await self._process.turn(self._last)
        mutated = self._stage.text_of(text)
        if mutated is None:
            return _NoRows()
        try:
            before = {} if self._last.startswith(READS) else await self._claims(params)
            cursor = await self._run(mutated, params, prepare=prepare)
        finally:
            await self._process.heard()
        if before:
            rows = await cursor.fetchall()
            self._check_fence(text, params, rows, before)
            if rows:
                await cursor.scroll(0, mode="absolute")
        return cursor

    async def _run(self, text: str, params: Any = None, *, prepare: bool | None = None) -> Any:
        stage, wire = self._stage, self._wire
        stage.under_way[wire] = self._process.name
        wire.blocked = False
        try:
            return await self._send(text, params, prepare=prepare)
        except psycopg.OperationalError as error:
            if wire.real.closed:
                wire.broken = True
                stage.note(f"{self._process.name}: connection lost ({type(error).__name__})")
            raise
        finally:
            stage.under_way.pop(wire, None)
            wire.blocked = False
            stage.wake()

    async def _send(self, text: str, params: Any, *, prepare: bool | None) -> Any:
        """Send a statement; before it, in the same trip, what begins its transaction and sets the clock that it reads."""
        wire, now = self._wire, self._stage.now
        real = wire.real
        if text in ("commit", "rollback") or (wire.begun and (now - wire.clock).total_seconds() < CLOCK_SECONDS):
            return await real.execute(text.encode(), params, prepare=prepare)
        async with real.pipeline():
            if not wire.begun:
                await real.execute("begin")
                wire.begun = True
            await real.execute(SET_CLOCK, (now.isoformat(),))
            wire.clock = now
            return await real.execute(text.encode(), params, prepare=prepare)

    # --- the fence: what names a claim is written under it alone --------------------------------------------------------

    async def _claims(self, params: Any) -> dict[str, str | None]:
        """Return the claim tokens that stand for the tasks that a write names, before it is made."""
        if not isinstance(params, Mapping) or not isinstance(params.get("members"), str):
            return {}
        members = [each for each in json.loads(params["members"]) if each.get("claim_token")]
        if not members:
            return {}
        cursor = await self._run(FENCED, ([each["task_id"] for each in members],))
        return {str(row["id"]): str(row["claim_token"]) for row in await cursor.fetchall()}

    def _check_fence(
        self, text: str, params: Mapping[str, Any], rows: list[Any], before: dict[str, str | None]
    ) -> None:
        members = {each.get("n", 0): each for each in json.loads(params["members"])}
        for row in rows:
            member = members.get(row.get("n", 0))
            if member is None or not member.get("claim_token"):
                continue
            if before.get(member["task_id"]) != member["claim_token"]:
                self._stage.problems.append(f"`{_label(text)}` wrote for task {member['task_id']} without its claim")


class SteppedPool:
    """The connections of one role that a process may hold."""

    def __init__(self, process: Process, role: str) -> None:
        self._process = process
        self._role = role
        self._idle: list[Wire] = []
        self._room = asyncio.Semaphore(CONNECTIONS_MAX[role])

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[SteppedConnection]:
        async with self._room:
            wire = self._idle.pop() if self._idle else await self._process.stage.lend(self._process, self._role)
            if wire.broken or wire.real.closed:
                self._forget(wire)
                raise psycopg.OperationalError("the connection is lost")
            try:
                yield SteppedConnection(self._process, wire)
            finally:
                if wire.broken or wire.real.closed:
                    self._forget(wire)
                elif wire in self._process.wires:
                    self._idle.append(wire)

    def _forget(self, wire: Wire) -> None:
        if wire in self._process.wires:
            self._process.wires.remove(wire)


class _SteadyPlans(Plans):
    """Plans of statements whose time is not real."""

    async def renew(self, connection: Any) -> None:
        return

    def ran(self, name: str, now_seconds: float, *, took_seconds: float) -> None:
        return


def stepped_database(process: Process) -> Database:
    """Return AOS's database over the stepped connections of a process."""
    logins = process.stage.database
    database = Database(DatabaseConfig(logins.app, logins.machine))
    pools: Any = database
    pools._app, pools._machine = SteppedPool(process, "app"), SteppedPool(process, "machine")
    pools._plans = _SteadyPlans()
    return database


def _label(text: str) -> str:
    return _names().get(text) or " ".join(text.split())[:60]


@cache
def _names() -> dict[str, str]:
    """Return the name of each of AOS's statements by its text."""
    return {sql(file.stem): file.stem for file in sorted(FOLDER.glob("*.sql"))}
