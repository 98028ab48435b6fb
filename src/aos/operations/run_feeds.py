"""The runs that somebody in this process watches: one look at the logs for all of them, one reading of a run for all who
wait at the same place.

Rules a reader must not break: nothing is kept for a watcher, so one that reads slowly costs no memory here and simply asks
from its own place again; a version is taken before the reading that it stands for, never after; a run that began to be
watched while a look was under way counts as changed, because that look did not ask for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import msgspec

from aos.kernel.errors import AosError
from aos.operations.run_events import EVENTS_MAX, NEAR_LEAVES, RunEvent, RunEvents
from aos.store.hot.database import Database
from aos.store.rows import rows_json

SWEEP_SECONDS: Final = 0.25
"""How soon what enters a log is noticed."""

_log = logging.getLogger(__name__)


class _WatchedRow(msgspec.Struct):
    organization_id: UUID
    seen: int
    runs: list[UUID]


class RunFeed:
    """One watched run: its events after any place, and the wait for more of them."""

    def __init__(self, events: RunEvents, organization_id: UUID, run_id: UUID) -> None:
        self._events = events
        self._organization_id = organization_id
        self._run_id = run_id
        self._reading = asyncio.Lock()
        self._waiting: set[asyncio.Future[None]] = set()
        self._batch: list[RunEvent] = []
        self._batch_after = -1
        self._batch_version = -1
        self.version = 0
        self.watchers = 0

    async def after(self, index: int) -> list[RunEvent]:
        """Return some of the events after leaf `index` in the log's order; none only where there are none yet.

        Raises NotFound where the organization has no such run, InvalidRequest for an index out of range.
        """
        async with self._reading:
            found = self._known_after(index)
            if found is None:
                version = self.version
                found = await self._events.after(self._organization_id, self._run_id, index=index)
                if version != self._batch_version or (found and found[-1].index >= self._last):
                    self._batch, self._batch_after, self._batch_version = found, index, version
            return found

    async def wait(self, version: int, gone: asyncio.Future[None], *, timeout_seconds: float) -> None:
        """Return when the run is no longer as it was at `version`, `gone` is done, or the time is up."""
        if self.version != version or gone.done():
            return
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(told)
        try:
            await asyncio.wait([told, gone], timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting.discard(told)

    def change(self) -> None:
        """Wake whoever waits: there may be more to read."""
        self.version += 1
        for told in self._waiting:
            if not told.done():
                told.set_result(None)

    @property
    def _last(self) -> int:
        return self._batch[-1].index if self._batch else -1

    def _known_after(self, index: int) -> list[RunEvent] | None:
        """Return what the last reading tells of the events after `index`, None where it is too old or too short."""
        if self._batch_version != self.version or index < self._batch_after:
            return None
        rest = self._batch[bisect_right(self._batch, index, key=lambda event: event.index) :]
        return rest if rest or len(self._batch) < EVENTS_MAX else None


@dataclass(slots=True)
class _Log:
    """The watched runs of one organization; `seen` is its log's size at the last look, -1 before the first."""

    seen: int = -1
    feeds: dict[UUID, RunFeed] = field(default_factory=dict)


class RunFeeds:
    """The watched runs of one process."""

    def __init__(self, database: Database, *, sweep_seconds: float = SWEEP_SECONDS) -> None:
        self._database = database
        self._events = RunEvents(database)
        self._sweep_seconds = sweep_seconds
        self._logs: dict[UUID, _Log] = {}
        self._task: asyncio.Task[None] | None = None
        self.ended = False

    @contextmanager
    def watch(self, organization_id: UUID, run_id: UUID) -> Iterator[RunFeed]:
        """Watch one run for the length of the block."""
        runs = self._logs.setdefault(organization_id, _Log()).feeds
        feed = runs.get(run_id)
        if feed is None:
            feed = runs[run_id] = RunFeed(self._events, organization_id, run_id)
        feed.watchers += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look_again_and_again(), name="run-feeds")
        try:
            yield feed
        finally:
            feed.watchers -= 1
            if not feed.watchers:
                del runs[run_id]
            if not runs:
                self._logs.pop(organization_id, None)

    def end(self) -> None:
        """Have every watcher stop: the process ends."""
        self.ended = True
        for log in self._logs.values():
            for feed in log.feeds.values():
                feed.change()

    async def close(self) -> None:
        """Look no more."""
        self.end()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def look(self) -> None:
        """Look once whether watched logs have grown, and wake who watches what grew."""
        asked = {organization: frozenset(log.feeds) for organization, log in self._logs.items()}
        watched = [_WatchedRow(each, self._logs[each].seen, list(runs)) for each, runs in asked.items()]
        params = {"watched": rows_json(watched), "near": NEAR_LEAVES}
        for row in await self._database.read("load_grown_logs", params):
            log = self._logs.get(row["organization_id"])
            if log is not None:
                _wake(log, row, asked=asked[row["organization_id"]])

    async def _look_again_and_again(self) -> None:
        failing = False
        while self._logs:
            await asyncio.sleep(self._sweep_seconds)
            try:
                await self.look()
                failing = False
            except Exception as error:  # watchers outlive whatever one look brings
                if not failing:
                    said = error.detail if isinstance(error, AosError) else repr(error)
                    _log.warning("the watched runs cannot be looked at: %s", said)
                failing = True


def _wake(log: _Log, row: Mapping[str, Any], *, asked: frozenset[UUID]) -> None:
    unseen = log.seen < 0 or row["size"] - log.seen > NEAR_LEAVES
    grown = set(row["runs"])
    log.seen = row["size"]
    for run, feed in log.feeds.items():
        if unseen or run in grown or run not in asked:
            feed.change()
