"""Group commit: a flush takes what fits in members and bytes, in order of arrival; a queue that is full says so."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest

from aos.kernel.errors import Unavailable
from aos.kernel.limits import FLUSH_MEMBERS_MAX
from aos.operations.group_commit import GroupCommit

FLUSH_BYTES, QUEUE_BYTES = 1_000, 5_000


class Flushes:
    """Flushes of members that are their own sizes; each waits until it may be written."""

    def __init__(self) -> None:
        self.written: list[list[int]] = []
        self.go_on, self.begun = asyncio.Event(), asyncio.Event()
        self.commits: GroupCommit[int, int] = GroupCommit(
            self.flush, name="test", weigh=lambda size: size, flush_bytes_max=FLUSH_BYTES, queue_bytes_max=QUEUE_BYTES
        )

    async def flush(self, batch: Sequence[int]) -> Sequence[int]:
        self.begun.set()
        await self.go_on.wait()
        self.written.append(list(batch))
        return batch

    async def submit_all(self, sizes: Sequence[int]) -> list[int | BaseException]:
        """Submit all while the first one's flush is under way; return what each was answered."""
        self.go_on.clear()
        self.begun.clear()
        first = asyncio.create_task(self.commits.submit(sizes[0]))
        await self.begun.wait()
        rest = [asyncio.create_task(self.commits.submit(size)) for size in sizes[1:]]
        await asyncio.sleep(0)
        self.go_on.set()
        return await asyncio.gather(first, *rest, return_exceptions=True)


def story(sizes: Sequence[int]) -> tuple[list[list[int]], list[int | BaseException]]:
    async def work() -> tuple[list[list[int]], list[int | BaseException]]:
        flushes = Flushes()
        answers = await flushes.submit_all(sizes)
        return flushes.written, answers

    told: Coroutine[Any, Any, tuple[list[list[int]], list[int | BaseException]]] = work()
    return asyncio.run(told)


@pytest.mark.parametrize(
    ("sizes", "flushes"),
    [
        ([1, 400, 600, 1], [[1], [400, 600], [1]]),
        ([1, 400, 601, 399], [[1], [400], [601, 399]]),
        ([1, 3_000, 1, 1], [[1], [3_000], [1, 1]]),
        ([1, 1, 3_000, 1], [[1], [1], [3_000], [1]]),
        ([9_000, 0, 0], [[9_000], [0, 0]]),
        ([0] * (2 * FLUSH_MEMBERS_MAX + 2), [[0], [0] * FLUSH_MEMBERS_MAX, [0] * FLUSH_MEMBERS_MAX, [0]]),
    ],
)
def test_a_flush_takes_what_fits_in_the_order_of_arrival(sizes: list[int], flushes: list[list[int]]) -> None:
    written, answers = story(sizes)
    assert written == flushes
    assert answers == sizes


def test_a_queue_full_of_bytes_answers_unavailable_and_writes_the_rest() -> None:
    written, answers = story([1, 2_000, 3_000, 1, 0])
    assert [isinstance(answer, Unavailable) for answer in answers] == [False, False, False, True, False]
    assert [size for flush in written for size in flush] == [1, 2_000, 3_000, 0]


def test_a_member_larger_than_the_queue_is_written_where_nothing_waits() -> None:
    written, answers = story([1, 50_000, 1])
    assert [isinstance(answer, Unavailable) for answer in answers] == [False, False, True]
    assert written == [[1], [50_000]]


def test_room_in_the_queue_comes_back() -> None:
    async def work() -> None:
        flushes = Flushes()
        for _ in range(2):
            assert await flushes.submit_all([1, 2_000, 3_000]) == [1, 2_000, 3_000]

    asyncio.run(work())


def test_who_brings_little_does_not_wait_until_the_much_of_another_is_written() -> None:
    async def work() -> None:
        let_go = {"large": asyncio.Event(), "small": asyncio.Event(), "other": asyncio.Event()}
        begun: asyncio.Queue[list[str]] = asyncio.Queue()

        async def flush(batch: Sequence[str]) -> Sequence[str]:
            begun.put_nowait(list(batch))
            await asyncio.gather(*(let_go[whose].wait() for whose in set(batch)))
            return batch

        commits: GroupCommit[str, str] = GroupCommit(flush, name="test", whose=lambda member: member)

        def submit(*members: str) -> list[asyncio.Task[str]]:
            return [asyncio.create_task(commits.submit(member)) for member in members]

        waiting = submit("large", "large")
        assert await begun.get() == ["large", "large"]
        waiting += submit("large", "small", "large", "small")
        assert await begun.get() == ["small", "small"], "written beside it, and together"
        waiting += submit("other", "large", "small")
        await asyncio.sleep(0)
        assert begun.empty(), "no third flush"
        let_go["small"].set()
        assert await begun.get() == ["other", "small"], "what may go goes, though others of the queue came first"
        let_go["other"].set()
        let_go["large"].set()
        assert await begun.get() == ["large", "large", "large"]
        await commits.drain()
        assert [task.result() for task in waiting].count("large") == 5

    asyncio.run(work())
