"""Group commit: what arrives while one flush is under way shares the next, one commit for all.

The queue is bounded, a member waits for the commit and no longer, and no member can fail another: a flush that fails
as a whole is repeated one by one, so that only the member at fault is answered with the error.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from aos.kernel.errors import AosError, Unavailable
from aos.kernel.limits import FLUSH_MEMBERS_MAX, FLUSH_QUEUE_MAX

M = TypeVar("M")
R = TypeVar("R")


class GroupCommit(Generic[M, R]):
    """Gathers members and hands them to `flush`, which returns one result a member, in order."""

    def __init__(self, flush: Callable[[Sequence[M]], Awaitable[Sequence[R]]], *, name: str) -> None:
        self._flush = flush
        self._name = name
        self._queue: deque[tuple[M, asyncio.Future[R]]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def submit(self, member: M) -> R:
        """Return the member's own result once its flush is committed; raise Unavailable when the queue is full.

        The flush goes on when the caller is cancelled: what was submitted is written or refused, never half done.
        """
        if len(self._queue) >= FLUSH_QUEUE_MAX:
            raise Unavailable(f"more than {FLUSH_QUEUE_MAX} acts wait to be recorded; try again in a second")
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._queue.append((member, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=f"group-commit-{self._name}")
        return await future

    async def drain(self) -> None:
        """Return when nothing that was submitted is still unwritten."""
        while self._task is not None and not self._task.done():
            await asyncio.shield(self._task)

    async def _run(self) -> None:
        while self._queue:
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), FLUSH_MEMBERS_MAX))]
            await self._settle(batch)

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
