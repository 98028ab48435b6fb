"""A2A through two data planes: what one began, the other shows, streams, and ends; nothing is kept in either."""

from __future__ import annotations

import asyncio
from typing import Any

from a2a.types import CancelTaskRequest, GetTaskRequest, SendMessageRequest, SubscribeToTaskRequest, Task, TaskState

from tests.contract.a2a_peer import BOTH, connected, data, run_agent, send, state, worker_beside
from tests.databases import Database
from tests.doors import open_door
from tests.worlds import World, agent, make_world


def company(database: Database) -> World:
    return make_world(database, agents=[run_agent("naps"), agent("caller", delegates=("naps",), runtime=None)])


@BOTH
def test_a_stream_that_breaks_with_its_process_is_taken_up_at_another(database: Database, binding: Any) -> None:
    world = company(database)

    async def broken(door: Any, key: str) -> Task:
        """Return the task that a stream began with, whose process ends under it."""
        async with connected(door, "naps", key, binding=binding) as client:
            events = client.send_message(SendMessageRequest(message=data({"seconds": 2})))
            first = await anext(events)
            door.loop.call_soon_threadsafe(door.services.feeds.end)  # what its process does when it is asked to end
            rest = [event async for event in events]
            assert not any(
                event.HasField("status_update") and event.status_update.status.state == TaskState.TASK_STATE_COMPLETED
                for event in rest
            )
            return first.task

    async def taken_up(door: Any, key: str, task: Task) -> None:
        async with connected(door, "naps", key, binding=binding) as client:
            events = [event async for event in client.subscribe(SubscribeToTaskRequest(id=task.id))]
            assert events[0].task.id == task.id
            assert events[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED
            assert events[-2].artifact_update.artifact.artifact_id == "output"

    with worker_beside(world), open_door(world, listens=True) as other:
        with open_door(world, listens=True) as first:
            key = first.api_key("caller")
            task = asyncio.run(broken(first, key))
        asyncio.run(taken_up(other, key, task))
    assert world.rows("select count(*) from run") == [(1,)]


@BOTH
def test_a_task_that_one_process_began_is_read_and_cancelled_through_another(database: Database, binding: Any) -> None:
    world = company(database)

    async def begin(door: Any, key: str) -> Task:
        async with connected(door, "naps", key, binding=binding) as client:
            return await send(client, data({"seconds": 600}), return_immediately=True)

    async def finish(door: Any, key: str, task: Task) -> None:
        async with connected(door, "naps", key, binding=binding) as client:
            assert (await client.get_task(GetTaskRequest(id=task.id))).id == task.id
            assert state(await client.cancel_task(CancelTaskRequest(id=task.id))) == "CANCELED"

    with worker_beside(world), open_door(world, listens=True) as other:
        with open_door(world, listens=True) as first:
            key = first.api_key("caller")
            task = asyncio.run(begin(first, key))
        asyncio.run(finish(other, key, task))


def test_a_message_whose_answer_was_lost_with_its_process_is_one_run_when_it_is_sent_to_another(
    database: Database,
) -> None:
    world = company(database)
    message = data({"seconds": 0})

    async def sent(door: Any, key: str) -> Task:
        async with connected(door, "naps", key) as client:
            return await send(client, message)

    with worker_beside(world), open_door(world, listens=True) as other:
        with open_door(world, listens=True) as first:
            key = first.api_key("caller")
            before = asyncio.run(sent(first, key))
            # What a process leaves that died between the run's start and its answer: the run, and the task with it.
        again = asyncio.run(sent(other, key))
    assert (again.id, state(again)) == (before.id, "COMPLETED")
    assert world.rows("select count(*) from run") == [(1,)]
