"""The bell: one LISTEN connection a process, which wakes whoever waits for something to change.

A bell carries ids or nothing and may be lost: every wait has a deadline and a sweep beneath. Channels: `aos_epoch`
(organization id), `aos_ready` (an organization id, `more`, or nothing), `aos_run` (run id), `aos_approval` (approval id), `aos_stop` and `aos_hold` (a run id:
its passes are cut off, or end at their next call), `aos_work` (an agent id: tasks are on offer to it).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import psycopg

from aos.kernel.errors import Unavailable
from aos.store.hot.database import Database

CHANNELS = ("aos_epoch", "aos_ready", "aos_run", "aos_approval", "aos_stop", "aos_hold", "aos_work")
RECONNECT_SECONDS = 0.5


class Bell:
    """Listens and wakes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiters: dict[tuple[str, str], set[asyncio.Event]] = {}
        self._listeners: dict[str, list[Callable[[str], None]]] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen; a lost connection is opened again."""
        self._task = asyncio.create_task(self._run(), name="bell")

    async def stop(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def on(self, channel: str, listener: Callable[[str], None]) -> None:
        """Call `listener` with each payload of a channel, and with an empty one after a reconnection."""
        self._listeners.setdefault(channel, []).append(listener)

    async def wait(self, channel: str, payload: str, *, timeout_seconds: float) -> None:
        """Return when the bell rings for `payload`, or after the time-out: the caller looks again either way."""
        event = asyncio.Event()
        waiters = self._waiters.setdefault((channel, payload), set())
        waiters.add(event)
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), timeout_seconds)
        finally:
            waiters.discard(event)
            if not waiters:
                self._waiters.pop((channel, payload), None)

    async def _run(self) -> None:
        while True:
            try:
                connection = await self._database.listen(CHANNELS)
            except Unavailable:
                await asyncio.sleep(RECONNECT_SECONDS)
                continue
            try:
                self._ring_all()
                async for notify in connection.notifies():
                    self._ring(notify.channel, notify.payload)
            except psycopg.Error:
                await asyncio.sleep(RECONNECT_SECONDS)
            finally:
                with contextlib.suppress(psycopg.Error):
                    await connection.close()

    def _ring(self, channel: str, payload: str) -> None:
        for event in self._waiters.get((channel, payload), ()):
            event.set()
        for listener in self._listeners.get(channel, ()):
            listener(payload)

    def _ring_all(self) -> None:
        for events in self._waiters.values():
            for event in events:
                event.set()
        for listeners in self._listeners.values():
            for listener in listeners:
                listener("")
