"""The bridge: one loop, begun with the first call, whose errors and deadline the caller sees."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from aos.kernel.errors import Conflict, DeadlineExceeded, NotFound, Unavailable
from aos.operations.bridge import Bridge, Hot, call_hot, open_hot
from aos.store.hot.database import DatabaseConfig
from tests.planes import Plane


@dataclass
class Opened:
    """What a test opens; notes what happens to it."""

    events: list[str] = field(default_factory=list)
    failures: int = 0

    @asynccontextmanager
    async def services(self) -> AsyncIterator[Opened]:
        """Open, or fail as often as was said."""
        if self.failures:
            self.failures -= 1
            raise Unavailable("the database does not answer")
        self.events.append("opened")
        yield self
        self.events.append("closed")


@pytest.fixture
def opened() -> Opened:
    return Opened()


@pytest.fixture
def bridge(opened: Opened) -> Iterator[Bridge[Opened]]:
    made = Bridge(opened.services, call_seconds=5)
    yield made
    made.close()


async def thread_of(opened: Opened) -> str:
    """Say in which thread this runs."""
    return threading.current_thread().name


def test_nothing_is_opened_before_the_first_call_and_once_for_all(bridge: Bridge[Opened], opened: Opened) -> None:
    assert opened.events == []
    with ThreadPoolExecutor(8) as threads:
        names = list(threads.map(lambda _: bridge.call(thread_of), range(32)))
    assert set(names) == {"bridge"}
    assert opened.events == ["opened"]
    bridge.close()
    assert opened.events == ["opened", "closed"]


def test_errors_arrive_as_they_are(bridge: Bridge[Opened]) -> None:
    async def refuse(opened: Opened, name: str, *, why: str) -> None:
        raise Conflict(f"`{name}` {why}", extra={"retry_after_seconds": 1})

    with pytest.raises(Conflict, match="`run` is over") as caught:
        bridge.call(refuse, "run", why="is over")
    assert caught.value.extra == {"retry_after_seconds": 1}


def test_work_past_the_deadline_is_cancelled_and_the_loop_goes_on(opened: Opened) -> None:
    async def never(opened: Opened) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            opened.events.append("cancelled")

    bridge = Bridge(opened.services, call_seconds=0.05)
    with pytest.raises(DeadlineExceeded, match="Idempotency-Key"):
        bridge.call(never)
    assert bridge.call(thread_of) == "bridge"
    bridge.close()
    assert opened.events == ["opened", "cancelled", "closed"]


def test_services_that_could_not_be_opened_are_tried_again(bridge: Bridge[Opened], opened: Opened) -> None:
    opened.failures = 1
    with pytest.raises(Unavailable):
        bridge.call(thread_of)
    assert bridge.call(thread_of) == "bridge"


def _in_child(call: Callable[[], str], answers: Any) -> None:
    answers.put(call())


def test_a_forked_process_begins_a_loop_of_its_own(bridge: Bridge[Opened]) -> None:
    assert bridge.call(thread_of) == "bridge"
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=_in_child, args=(lambda: bridge.call(thread_of), answers))
    child.start()
    child.join(20)
    assert child.exitcode == 0
    assert answers.get() == "bridge"


def test_hot_operations_see_the_facts_as_they_stand_now(plane: Plane) -> None:
    async def epoch(hot: Hot, organization_id: Any) -> int:
        return (await hot.facts.of(organization_id)).epoch

    config = DatabaseConfig(plane.database.app, plane.database.machine)
    bridge = Bridge(lambda: open_hot(config, plane.drivers))
    try:
        before = bridge.call(call_hot, epoch, plane.actor.organization_id)
        plane.post("/departments", {"name": "finance"})
        assert bridge.call(call_hot, epoch, plane.actor.organization_id) > before
        with pytest.raises(NotFound):
            bridge.call(call_hot, epoch, plane.actor.person_id)
    finally:
        bridge.close()
