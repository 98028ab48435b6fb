"""From what is cold to what is hot: the one event loop of a control-plane process, in a thread of its own.

The loop, its database pools and its facts begin with the first call, so after the server has forked; a process that was
forked later begins its own. What is called raises its AosErrors here as they are. A call has a deadline: past it the
caller is answered, and the work is cancelled; what it had not committed by then is not done.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar

from aos.kernel.errors import DeadlineExceeded
from aos.operations.drivers import Drivers
from aos.operations.facts import FactsCache
from aos.operations.gate import Gate
from aos.operations.run_facts import RunFactsCache
from aos.operations.run_starts import RunStarts
from aos.store.hot.database import Database, DatabaseConfig

CALL_SECONDS: Final = 10.0
"""How long one call may take, the beginning of the loop included."""
BRIDGE_CONNECTIONS_MAX: Final = 2
"""Connections that each of the bridge's two pools holds at most; boot adds them to the sum it checks."""

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Hot:
    """What hot operations act through in a process that is cold otherwise."""

    database: Database
    facts: FactsCache
    runs: RunFactsCache
    gate: Gate
    drivers: Drivers
    run_starts: RunStarts


@asynccontextmanager
async def open_hot(config: DatabaseConfig, drivers: Drivers) -> AsyncIterator[Hot]:
    """Open the pools and facts that hot operations need; close them at the end."""
    database = Database(config)
    try:
        await database.open()
        facts = FactsCache(database, drivers)
        runs = RunFactsCache(database, facts, drivers)
        gate = Gate(database, facts, runs, drivers)
        starts = RunStarts(database, drivers.ticker)
        yield Hot(database, facts, runs, gate, drivers, starts)
        await gate.drain()
        await starts.drain()
    finally:
        await database.close()


async def call_hot(
    hot: Hot, work: Callable[Concatenate[Hot, P], Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs
) -> T:
    """Read the epochs, so that nothing is done on facts from before this call, then do the work."""
    await hot.facts.refresh()
    return await work(hot, *args, **kwargs)


class Bridge(Generic[S]):
    """Calls asynchronous operations from threads. `open_services` opens, in the loop, what they act through."""

    def __init__(
        self, open_services: Callable[[], AbstractAsyncContextManager[S]], *, call_seconds: float = CALL_SECONDS
    ) -> None:
        self._open_services = open_services
        self._call_seconds = call_seconds
        self._lock = threading.Lock()
        self._running: _Loop[S] | None = None

    def call(
        self, work: Callable[Concatenate[S, P], Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `work(services, *args, **kwargs)` in the loop and return its answer, or raise its error.

        Raises DeadlineExceeded after the bridge's time, Unavailable where the services cannot be opened.
        """
        loop = self._begun()
        future = asyncio.run_coroutine_threadsafe(loop.run(work, *args, **kwargs), loop.loop)
        return _result(future, self._call_seconds)

    def close(self) -> None:
        """Close the services and end the loop; the next call begins another."""
        with self._lock:
            running, self._running = self._running, None
        if running is not None and running.pid == os.getpid():
            running.stop(self._call_seconds)

    def _begun(self) -> _Loop[S]:
        with self._lock:
            if self._running is None or self._running.pid != os.getpid():
                self._running = _Loop(self._open_services)
            return self._running


class _Loop(Generic[S]):
    """One event loop in one thread, with what was opened in it."""

    def __init__(self, open_services: Callable[[], AbstractAsyncContextManager[S]]) -> None:
        self.pid = os.getpid()
        self.loop = asyncio.new_event_loop()
        self._open_services = open_services
        self._opened: tuple[AbstractAsyncContextManager[S], S] | None = None
        self._opening = asyncio.Lock()
        self._thread = threading.Thread(target=self.loop.run_forever, name="bridge", daemon=True)
        self._thread.start()

    async def run(
        self, work: Callable[Concatenate[S, P], Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await work(await self._services(), *args, **kwargs)

    def stop(self, timeout_seconds: float) -> None:
        try:
            _result(asyncio.run_coroutine_threadsafe(self._close(), self.loop), timeout_seconds)
        finally:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(timeout_seconds)
            if not self._thread.is_alive():
                self.loop.close()

    async def _services(self) -> S:
        """Return the services, opened once; a failure leaves nothing behind, so that the next call tries again."""
        async with self._opening:
            if self._opened is None:
                manager = self._open_services()
                self._opened = (manager, await manager.__aenter__())
            return self._opened[1]

    async def _close(self) -> None:
        async with self._opening:
            if self._opened is not None:
                manager, self._opened = self._opened[0], None
                await manager.__aexit__(None, None, None)


def _result(future: Future[T], timeout_seconds: float) -> T:
    try:
        return future.result(timeout_seconds)
    except TimeoutError as error:
        future.cancel()
        detail = (
            f"no answer within {timeout_seconds:g} seconds; ask again, with the same Idempotency-Key if you gave one"
        )
        raise DeadlineExceeded(detail) from error
