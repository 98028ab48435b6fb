"""What waits for a person, as A2A clients see it: before a run begins, and inside one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from a2a.client import Client
from a2a.types import CancelTaskRequest, GetTaskRequest, SendMessageRequest, Task, TaskState

from aos.kernel.policy.values import Approvers, Outcome, Rule
from aos.operations.approvals import Answer
from tests.contract.a2a_peer import BOTH, Served, data, run_agent, send, serving, state, text
from tests.databases import Database
from tests.worlds import World, agent, make_world, payments

ASK_FIRST = Rule(
    "ask-first", 1, Outcome.ESCALATE, ("caller",), ("run:echo",), reason="a person looks first", approvers=Approvers()
)
ASK_LARGE = Rule(
    "large-payments", 1, Outcome.ESCALATE, ("pays",), ("tool:payments.create",), "args.amount > 1000",
    "payment of {args.amount}", approvers=Approvers(),
)  # fmt: skip
LARGE = {"iban": "DE89370400440532013000", "amount": "5000.00", "currency": "EUR"}


@pytest.fixture
def world(database: Database) -> World:
    return make_world(
        database,
        agents=[
            run_agent("echo"),
            run_agent("pays", "payments.create"),
            agent("caller", delegates=("echo", "pays"), runtime=None),
        ],
        tools=[payments()],
        rules=[ASK_FIRST, ASK_LARGE],
    )


@pytest.fixture
def served(world: World) -> Iterator[Served]:
    with serving(world) as found:
        yield found


def approval_of(task: Task) -> str:
    return str(task.metadata["aos/approval-id"])


@BOTH
def test_a_start_that_waits_for_a_person_is_input_required_and_begins_when_its_sender_says_more(
    served: Served, binding: Any
) -> None:
    async def work(client: Client) -> None:
        task = await send(client, data({"n": 1}))
        assert state(task) == "INPUT_REQUIRED"
        assert approval_of(task) in task.status.message.parts[0].text
        again = await send(client, text("is it time?", task_id=task.id))
        assert (state(again), approval_of(again)) == ("INPUT_REQUIRED", approval_of(task))
        await asyncio.to_thread(served.answer, approval_of(task))
        found = await client.get_task(GetTaskRequest(id=task.id))
        assert state(found) == "INPUT_REQUIRED"
        assert "a person allowed this" in found.status.message.parts[0].text
        done = await send(client, text("now", task_id=task.id))
        assert (done.id, state(done)) == (task.id, "COMPLETED")
        assert done.artifacts[0].parts[0].data.struct_value["n"] == 1

    served.speak("echo", work, binding=binding)
    assert served.world.rows("select count(*) from run") == [(1,)]
    assert served.world.rows("select status from approval") == [("used",)]


def test_the_same_message_sent_again_after_the_yes_begins_its_task(served: Served) -> None:
    async def work(client: Client) -> None:
        message = data({"n": 1})
        task = await send(client, message)
        await asyncio.to_thread(served.answer, approval_of(task))
        done = await send(client, message)
        assert (done.id, state(done)) == (task.id, "COMPLETED")

    served.speak("echo", work)


def test_a_no_is_told_as_rejected(served: Served) -> None:
    async def work(client: Client) -> None:
        task = await send(client, data({"n": 1}))
        await asyncio.to_thread(served.answer, approval_of(task), Answer.DENY, "not today")
        found = await client.get_task(GetTaskRequest(id=task.id))
        assert state(found) == "REJECTED"

    served.speak("echo", work)
    assert served.world.rows("select count(*) from run") == [(0,)]


def test_a_task_that_waits_to_begin_is_withdrawn_with_its_approval(served: Served) -> None:
    async def work(client: Client) -> None:
        message = data({"n": 1})
        task = await send(client, message)
        assert state(await client.cancel_task(CancelTaskRequest(id=task.id))) == "CANCELED"
        assert state(await send(client, message)) == "CANCELED"

    served.speak("echo", work)
    assert served.world.rows("select status from approval") == [("expired",)]
    assert served.world.rows("select count(*) from run") == [(0,)]


@BOTH
def test_an_act_inside_a_run_that_waits_is_input_required_and_the_stream_goes_on_after_the_yes(
    served: Served, binding: Any
) -> None:
    async def work(client: Client) -> list[str]:
        seen = []
        async for event in client.send_message(SendMessageRequest(message=data(LARGE))):
            if not event.HasField("status_update"):
                continue
            status = event.status_update.status
            seen.append(TaskState.Name(status.state).removeprefix("TASK_STATE_"))
            if seen[-1] == "INPUT_REQUIRED":
                await asyncio.to_thread(served.answer, str(status.message.metadata["aos/approval-id"]))
        return seen

    seen = served.speak("pays", work, binding=binding)
    assert "INPUT_REQUIRED" in seen
    assert seen[-1] == "COMPLETED"
    assert served.world.rows("select status from approval") == [("used",)]
