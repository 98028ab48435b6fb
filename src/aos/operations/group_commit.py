"""Group commit: what arrives while one flush is under way shares the next, one commit for all.

Flush and queue are bounded in members and in bytes, a member waits for the commit and no longer, and no member can fail another: a flush that fails
as a whole is repeated one by one, so that only the member at fault is answered with the error. A member larger than a
bound goes alone: what was decided can be written, whatever its size.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
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
    ) -> None:
        """`weigh` says how many bytes of content a member brings; one that brings none need not be weighed.

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
        self._task: asyncio.Task[None] | None = None

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
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=f"group-commit-{self._name}")
        return await future

    async def drain(self) -> None:
        """Return when nothing that was submitted is still unwritten."""
        while self._task is not None and not self._task.done():
            await asyncio.shield(self._task)

    async def _run(self) -> None:
        crowd = 0
        while self._queue:
            if self._gather_seconds and crowd >= CROWD_MIN and len(self._queue) < CROWD_ENOUGH:
                await asyncio.sleep(self._gather_seconds)
            batch = self._take()
            crowd = len(batch)
            await self._settle(batch)

    def _take(self) -> list[tuple[M, asyncio.Future[R]]]:
        """Take the next flush from the queue: the first member, and what fits beside it in the order of arrival."""
        batch: list[tuple[M, asyncio.Future[R]]] = []
        room = self._flush_bytes_max
        while self._queue and len(batch) < FLUSH_MEMBERS_MAX and (not batch or self._queue[0][2] <= room):
            member, future, size = self._queue.popleft()
            self._queue_bytes -= size
            room -= size
            batch.append((member, future))
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
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)


def _fail(batch: Sequence[tuple[object, asyncio.Future[R]]], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error if isinstance(error, AosError) else _wrapped(error))


def _wrapped(error: Exception) -> AosError:
    wrapped = AosError(f"the act could not be recorded ({type(error).__name__}); nothing was done")
    wrapped.__cause__ = error
    return wrapped
