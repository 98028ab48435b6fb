"""Group commit: what arrives while one flush is under way shares the next, one commit for all.

Flush and queue are bounded in members and in bytes, a member waits for the commit and no longer, and no member can fail another: a flush that fails
as a whole is repeated one by one, so that only the member at fault is answered with the error. A member larger than a
bound goes alone: what was decided can be written, whatever its size.

Where it is told whose a member is, a second flush may run beside the first, of those that the first has none of: who brings
little does not wait until the much of another is written.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Final, Generic, TypeVar

from aos.kernel.errors import AosError, Unavailable
from aos.kernel.limits import FLUSH_BYTES_MAX, FLUSH_MEMBERS_MAX, FLUSH_QUEUE_BYTES_MAX, FLUSH_QUEUE_MAX

log = logging.getLogger("aos.operations")

CROWD_MIN: Final = 4
"""Where a flush took so many members, the next waits a moment for more: each costs less the more there are."""
CROWD_ENOUGH: Final = 32
"""So many members are enough to go at once."""
GATHER_SECONDS: Final = 0.002
"""How long the gate's commits gather: calls of one agent seldom wait for those of another."""

TURN: Final = 16
"""So many callers are answered at a time: between two such turns whoever else is ready goes on, and does not stand behind all
that the callers of a large flush do next."""
BESIDE_MAX: Final = 2
"""Flushes at a time, where it is known whose the members are."""

M = TypeVar("M")
R = TypeVar("R")


class GroupCommit(Generic[M, R]):
    """Gathers members and hands them to `flush`, which returns one result a member, in order."""

    def __init__(
        self,
        flush: Callable[[Sequence[M]], Awaitable[Sequence[R]]],
        *,
        name: str,
        weigh: Callable[[M], int] = lambda _: 0,
        flush_bytes_max: int = FLUSH_BYTES_MAX,
        queue_bytes_max: int = FLUSH_QUEUE_BYTES_MAX,
        gather_seconds: float = 0,
        whose: Callable[[M], Hashable] | None = None,
    ) -> None:
        """`weigh` says how many bytes of content a member brings; one that brings none need not be weighed. `whose` says whose a
        member is: then no flush waits for one that is all another's.

        `gather_seconds` is how long a flush waits for more members where many come; nothing where others wait for what it writes.
        """
        self._flush = flush
        self._name = name
        self._gather_seconds = gather_seconds
        self._weigh = weigh
        self._flush_bytes_max = flush_bytes_max
        self._queue_bytes_max = queue_bytes_max
        self._queue: deque[tuple[M, asyncio.Future[R], int]] = deque()
        self._queue_bytes = 0
        self._whose = whose
        self._flushing: set[Hashable] = set()
        """Whose members are being written."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers = 0
        """How many of those look at the queue yet: one that has found it empty does not, though its task is not done."""

    async def submit(self, member: M) -> R:
        """Return the member's own result once its flush is committed; raise Unavailable when the queue is full.

        The flush goes on when the caller is cancelled: what was submitted is written or refused, never half done.
        """
        size = self._weigh(member)
        if len(self._queue) >= FLUSH_QUEUE_MAX:
            raise Unavailable(f"more than {FLUSH_QUEUE_MAX} acts wait to be recorded; try again in a second")
        if self._queue and self._queue_bytes + size > self._queue_bytes_max:
            raise Unavailable(f"acts of {self._queue_bytes_max} bytes wait to be recorded; try again in a second")
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._queue.append((member, future, size))
        self._queue_bytes += size
        if not self._writers or self._may_begin_beside(member):
            self._writers += 1
            task = asyncio.create_task(self._run(), name=f"group-commit-{self._name}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await future

    async def drain(self) -> None:
        """Return when nothing that was submitted is still unwritten."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    def _may_begin_beside(self, member: M) -> bool:
        """Say whether a member may be written while another flush is under way, rather than gathered for the next."""
        if self._whose is None or not self._flushing or self._writers >= BESIDE_MAX:
            return False
        return self._whose(member) not in self._flushing

    async def _run(self) -> None:
        try:
            await self._write()
        finally:
            self._writers -= 1

    async def _write(self) -> None:
        crowd = 0
        while self._queue:
            if self._gather_seconds and crowd >= CROWD_MIN and len(self._queue) < CROWD_ENOUGH:
                await asyncio.sleep(self._gather_seconds)
            batch = self._take()
            if not batch:
                return  # all that waits is whose members are being written: who writes them goes on with it
            crowd = len(batch)
            taken = set() if self._whose is None else {self._whose(member) for member, _ in batch}
            self._flushing |= taken
            try:
                await self._settle(batch)
            finally:
                self._flushing -= taken

    def _take(self) -> list[tuple[M, asyncio.Future[R]]]:
        """Take the next flush from the queue: the first member that may go, and what fits beside it in the order of arrival."""
        batch: list[tuple[M, asyncio.Future[R]]] = []
        left: list[tuple[M, asyncio.Future[R], int]] = []
        room = self._flush_bytes_max
        while self._queue and len(batch) < FLUSH_MEMBERS_MAX:
            member, future, size = waiting = self._queue.popleft()
            if self._whose is not None and self._flushing and self._whose(member) in self._flushing:
                left.append(waiting)
            elif batch and size > room:
                left.append(waiting)
                break
            else:
                self._queue_bytes -= size
                room -= size
                batch.append((member, future))
        self._queue.extendleft(reversed(left))
        return batch

    async def _settle(self, batch: list[tuple[M, asyncio.Future[R]]]) -> None:
        try:
            results = await self._flush([member for member, _ in batch])
        except Unavailable as error:
            _fail(batch, error)
        except Exception as error:  # whatever one member brought must not reach the others
            if len(batch) > 1:
                for one in batch:
                    await self._settle([one])
            else:
                if not isinstance(error, AosError):
                    log.error("what was to be recorded could not be: %s", self._name, exc_info=error)
                _fail(batch, error)
        else:
            for n, ((_, future), result) in enumerate(zip(batch, results, strict=True), start=1):
                if not future.done():
                    future.set_result(result)
                if n % TURN == 0:
                    await asyncio.sleep(0)


def _fail(batch: Sequence[tuple[object, asyncio.Future[R]]], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error if isinstance(error, AosError) else _wrapped(error))


def _wrapped(error: Exception) -> AosError:
    wrapped = AosError(f"the act could not be recorded ({type(error).__name__}); nothing was done")
    wrapped.__cause__ = error
    return wrapped
