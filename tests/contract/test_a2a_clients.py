"""The official A2A client at the door of AOS: every verb in both bindings, and what a client sees of a run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from a2a.client import Client
from a2a.types import (
    CancelTaskRequest,
    GetExtendedAgentCardRequest,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    SendMessageRequest,
    StreamResponse,
    SubscribeToTaskRequest,
    Task,
    TaskState,
)
from a2a.utils.errors import (
    ContentTypeNotSupportedError,
    InvalidParamsError,
    TaskNotCancelableError,
    TaskNotFoundError,
    UnsupportedOperationError,
)
from google.protobuf.json_format import MessageToDict

from aos.kernel.agents import Agent
from aos.kernel.policy.values import Outcome, Rule
from aos.operations.a2a_documents import part_of
from aos.operations.tokens import TaskToken, make_task_token, token_hash
from tests.contract.a2a_peer import (
    BOTH,
    Served,
    card_of,
    data,
    run_agent,
    send,
    serving,
    state,
    text,
)
from tests.databases import Database
from tests.doors import claim_task, revoke
from tests.worlds import World, agent, make_world

NAMES = ("echo", "fails", "naps", "asks")


def caller(name: str, delegates: Sequence[str] = NAMES) -> Agent:
    """Return an agent that acts from outside."""
    return agent(name, delegates=delegates, runtime=None)


@pytest.fixture
def world(database: Database) -> World:
    agents = [run_agent(name, goal=f"Shows how a client sees `{name}`") for name in NAMES]
    return make_world(
        database,
        agents=[*agents, caller("caller"), caller("other"), caller("stranger", delegates=())],
    )


@pytest.fixture
def served(world: World) -> Iterator[Served]:
    with serving(world) as found:
        yield found


def plain(task: Task) -> dict[str, Any]:
    return MessageToDict(task)


@BOTH
def test_a_message_is_a_run_of_the_agent_and_its_output_an_artifact(served: Served, binding: Any) -> None:
    message = data({"n": 3, "list": [1, "two", None, {"three": 3.5}]})
    task = served.speak("echo", lambda client: send(client, message), binding=binding)
    assert state(task) == "COMPLETED"
    (artifact,) = plain(task)["artifacts"]
    assert artifact["parts"] == [
        {"data": {"n": 3, "list": [1, "two", None, {"three": 3.5}]}, "mediaType": "application/json"}
    ]
    (sent,) = task.history
    assert (sent.message_id, sent.task_id, sent.context_id) == (message.message_id, task.id, task.context_id)
    rows = served.world.rows("select id, state, name, thread, chain -> -1 ->> 'name' from run")
    assert [(str(row[0]), *row[1:]) for row in rows] == [
        (task.metadata["aos/run-id"], "succeeded", "echo", f"caller:{task.context_id}", "caller")
    ]
    acts = served.world.rows("select kind, name, state from action order by id")
    assert acts == [("run", "echo", "performed"), ("delegate", "echo", "performed")]


def test_a_text_is_the_goal_and_the_input_and_a_text_that_is_returned_comes_as_text(served: Served) -> None:
    task = served.speak("echo", lambda client: send(client, text("say hello")))
    assert plain(task)["artifacts"][0]["parts"][0]["data"] == {"text": "say hello"}
    ((goal,),) = served.world.rows("select goal_content_id is not null from run")
    assert goal


@BOTH
def test_a_stream_tells_the_task_then_what_it_came_to_then_its_end(served: Served, binding: Any) -> None:
    async def watch(client: Client) -> list[StreamResponse]:
        request = SendMessageRequest(message=data({"seconds": 0.4}))
        return [event async for event in client.send_message(request)]

    events = served.speak("naps", watch, binding=binding)
    kinds = [event.WhichOneof("payload") for event in events]
    assert kinds[0] == "task"
    assert kinds[-2:] == ["artifact_update", "status_update"]
    assert events[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED
    assert {event.status_update.task_id for event in events if event.HasField("status_update")} == {events[0].task.id}


@BOTH
def test_a_task_is_found_listed_subscribed_to_and_cancelled(served: Served, binding: Any) -> None:
    async def work(client: Client) -> None:
        began = await send(client, data({"seconds": 600}), return_immediately=True)
        assert state(began) in ("SUBMITTED", "WORKING")
        found = await client.get_task(GetTaskRequest(id=began.id))
        assert (found.id, found.context_id) == (began.id, began.context_id)
        short = await client.get_task(GetTaskRequest(id=began.id, history_length=0))
        assert not short.history
        listed = await client.list_tasks(ListTasksRequest(page_size=1))
        assert ([task.id for task in listed.tasks], listed.total_size, listed.page_size) == ([began.id], 1, 1)
        events = client.subscribe(SubscribeToTaskRequest(id=began.id))
        first = await anext(events)
        assert first.task.id == began.id
        cancelled = await client.cancel_task(CancelTaskRequest(id=began.id))
        assert state(cancelled) == "CANCELED"
        rest = [event async for event in events]
        assert rest[-1].status_update.status.state == TaskState.TASK_STATE_CANCELED
        assert state(await client.cancel_task(CancelTaskRequest(id=began.id))) == "CANCELED"
        with pytest.raises(UnsupportedOperationError, match="has ended"):
            await anext(client.subscribe(SubscribeToTaskRequest(id=began.id)))

    served.speak("naps", work, binding=binding)
    assert served.world.rows("select state from run") == [("cancelled",)]


@BOTH
def test_a_run_that_fails_says_why_and_is_not_cancelled_any_more(served: Served, binding: Any) -> None:
    async def work(client: Client) -> None:
        task = await send(client, text("go"))
        assert state(task) == "FAILED"
        assert task.status.message.parts[0].text.startswith("raised: ValueError: attempt 1 fails")
        with pytest.raises(TaskNotCancelableError):
            await client.cancel_task(CancelTaskRequest(id=task.id))
        with pytest.raises(UnsupportedOperationError):
            await send(client, text("again", task_id=task.id))

    served.speak("fails", work, binding=binding)


@BOTH
def test_a_run_that_waits_for_a_message_is_input_required_and_goes_on_with_it(served: Served, binding: Any) -> None:
    async def work(client: Client) -> Task:
        task = await send(client, data({"n": 1}))
        assert state(task) == "INPUT_REQUIRED"
        assert "your next message" in task.status.message.parts[0].text
        return await send(client, data({"n": 2}, task_id=task.id, context_id=task.context_id))

    served.world.publish(Rule("callers-may-write", 1, Outcome.ALLOW, ("caller",), ("message:message",)))
    task = served.speak("asks", work, binding=binding)
    assert plain(task)["artifacts"][0]["parts"][0]["data"] == {"first": {"n": 1}, "then": {"n": 2}}


def test_a_message_that_comes_twice_is_one_task(served: Served) -> None:
    message = text("once")

    async def work(client: Client) -> None:
        first, second = await send(client, message), await send(client, message)
        assert first.id == second.id
        changed = Message()
        changed.CopyFrom(message)
        changed.parts[0].text = "another"
        with pytest.raises(InvalidParamsError, match="another content"):
            await send(client, changed)

    served.speak("echo", work)
    assert served.world.rows("select count(*) from run") == [(1,)]


def test_several_turns_share_a_context_and_its_tasks_are_listed_by_it(served: Served) -> None:
    async def work(client: Client) -> None:
        first = await send(client, text("one"))
        second = await send(client, text("two", context_id=first.context_id))
        apart = await send(client, text("three"))
        assert first.context_id == second.context_id != apart.context_id
        listed = await client.list_tasks(ListTasksRequest(context_id=first.context_id))
        assert [task.id for task in listed.tasks] == [second.id, first.id]
        assert not any(task.artifacts for task in listed.tasks)
        page = await client.list_tasks(ListTasksRequest(page_size=2, include_artifacts=True))
        assert ([task.id for task in page.tasks], page.total_size) == ([apart.id, second.id], 3)
        assert all(task.artifacts for task in page.tasks)
        last = await client.list_tasks(ListTasksRequest(page_size=2, page_token=page.next_page_token))
        assert ([task.id for task in last.tasks], last.next_page_token) == ([first.id], "")
        done = await client.list_tasks(ListTasksRequest(status=TaskState.TASK_STATE_COMPLETED))
        assert done.total_size == 3
        none = await client.list_tasks(ListTasksRequest(status=TaskState.TASK_STATE_WORKING))
        assert (list(none.tasks), none.total_size) == ([], 0)
        after = ListTasksRequest()
        after.status_timestamp_after.CopyFrom(second.status.timestamp)
        assert [task.id for task in (await client.list_tasks(after)).tasks] == [apart.id]

    served.speak("echo", work)
    assert len(served.world.rows("select distinct thread from run")) == 2


def test_a_page_looks_at_so_many_tasks_at_most_and_goes_on_where_it_stopped(served: Served) -> None:
    async def work(client: Client) -> str:
        return (await send(client, text("the first of many"))).id

    first = served.speak("echo", work)
    served.world.rows(
        "insert into a2a_task (organization_id, id, agent_id, principal_id, context_id, message_id, message_content_id, ended)"
        " select organization_id, ('ffffffff-ffff-7fff-bfff-' || lpad(to_hex(n), 12, '0'))::uuid, agent_id, principal_id,"
        " 'many', n::text, message_content_id, 'withdrawn' from a2a_task cross join generate_series(1, 1500) n returning 1"
    )

    async def look(client: Client) -> None:
        completed = TaskState.TASK_STATE_COMPLETED
        none = await client.list_tasks(ListTasksRequest(status=completed))
        assert (list(none.tasks), none.total_size, bool(none.next_page_token)) == ([], 0, True)
        then = await client.list_tasks(ListTasksRequest(status=completed, page_token=none.next_page_token))
        assert ([task.id for task in then.tasks], then.next_page_token) == ([first], "")
        page = await client.list_tasks(ListTasksRequest(page_size=10))
        assert (len(page.tasks), page.total_size) == (10, 1_000)

    served.speak("echo", look)


@BOTH
def test_a_task_of_somebody_else_is_not_found(served: Served, database: Database, binding: Any) -> None:
    task = served.speak("naps", lambda client: send(client, data({"seconds": 600}), return_immediately=True))

    async def look(client: Client) -> None:
        for asked in (
            client.get_task(GetTaskRequest(id=task.id)),
            client.cancel_task(CancelTaskRequest(id=task.id)),
            send(client, text("more", task_id=task.id)),
        ):
            with pytest.raises(TaskNotFoundError):
                await asked
        with pytest.raises(TaskNotFoundError):
            await anext(client.subscribe(SubscribeToTaskRequest(id=task.id)))
        assert not (await client.list_tasks(ListTasksRequest())).tasks

    served.speak("naps", look, caller="other", binding=binding)
    away = make_world(
        database, agents=[run_agent("naps"), agent("caller", delegates=("naps",))], keys=served.world.keys
    )
    with serving(away) as elsewhere:
        elsewhere.speak("naps", look, binding=binding)
    assert served.world.rows("select state from run where organization_id = %s", served.world.organization_id) == [
        ("running",)
    ]


@BOTH
def test_who_may_not_call_an_agent_is_rejected_with_the_rule(served: Served, binding: Any) -> None:
    task = served.speak("echo", lambda client: send(client, text("hi")), caller="stranger", binding=binding)
    assert state(task) == "REJECTED"
    assert task.status.message.parts[0].text.startswith("denied: ")
    assert served.world.rows("select kind, name, state from action") == [("run", "echo", "refused")]
    assert served.world.rows("select count(*) from run") == [(0,)]


@BOTH
def test_a_file_is_refused_as_a_content_type(served: Served, binding: Any) -> None:
    message = text("look")
    message.parts[0].url = "http://127.0.0.1/secret"

    async def work(client: Client) -> None:
        with pytest.raises(ContentTypeNotSupportedError):
            await send(client, message)

    served.speak("echo", work, binding=binding)


@BOTH
def test_a_card_says_what_the_agent_is_to_its_own_callers_alone(served: Served, binding: Any) -> None:
    card = asyncio.run(card_of(served.door, "echo", served.key("caller")))
    assert (card.name, card.version) == ("echo", "1")
    assert [skill.description for skill in card.skills] == ["Shows how a client sees `echo`"]
    assert [(each.url, each.protocol_binding, each.protocol_version) for each in card.supported_interfaces] == [
        (f"{served.door.url}/a2a/echo", "JSONRPC", "1.0"),
        (f"{served.door.url}/a2a/echo", "HTTP+JSON", "1.0"),
    ]
    assert card.capabilities.streaming
    assert card.capabilities.push_notifications
    extended = served.speak(
        "echo", lambda client: client.get_extended_agent_card(GetExtendedAgentCardRequest()), binding=binding
    )
    assert extended == card
    shown = [asyncio.run(card_of(served.door, name, None)) for name in ("echo", "nobody")]
    for each in shown:
        each.name = ""
        for interface in each.supported_interfaces:
            interface.url = ""
    assert shown[0] == shown[1]
    assert "Shows how" not in str(shown[0])


def test_the_deployments_card_lists_the_agents_of_the_caller_and_speaks_for_each(served: Served) -> None:
    anybody = served.send("GET", "/.well-known/agent-card.json", caller=None).json()
    assert [skill["id"] for skill in anybody["skills"]] == ["agents"]
    card = served.send("GET", "/.well-known/agent-card.json").json()
    assert [skill["id"] for skill in card["skills"]] == sorted(NAMES)
    params = {"tenant": "echo", "message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"data": 1}]}}
    body = {"jsonrpc": "2.0", "id": "a", "method": "SendMessage", "params": params}
    answer = served.send("POST", card["supportedInterfaces"][0]["url"].removeprefix(served.door.url), json=body).json()
    assert answer["result"]["task"]["artifacts"][0]["parts"] == [{"data": 1, "mediaType": "application/json"}]


def test_two_callers_that_name_one_context_share_no_thread(served: Served) -> None:
    for caller in ("caller", "other"):
        done = served.speak("echo", lambda client: send(client, data(1, context_id="c")), caller=caller)
        assert done.context_id == "c"
    assert sorted(served.world.rows("select thread from run")) == [("caller:c",), ("other:c",)]


def test_a_task_sends_no_message_by_which_it_would_leave_its_budget(served: Served) -> None:
    world, door = served.world, served.door
    run, task, claim = claim_task(world, "caller")
    facts = door.run(door.services.facts.of(world.organization_id))
    said = TaskToken(world.organization_id, run, task, claim)
    served.keys["in a run"] = make_task_token(said, facts.key("token").private)
    params = {"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"data": 1}]}}
    refused = served.rpc("echo", "SendMessage", params, caller="in a run").json()
    assert "a task starts no run by itself" in refused["error"]["message"]
    assert world.rows("select count(*) from run where name = 'echo'") == [(0,)]
    assert served.rpc("echo", "ListTasks", caller="in a run").status_code == 200
    world.rows("update task set claim_token = null, state = 'ready' where id = %s", task)
    assert served.rpc("echo", "ListTasks", caller="in a run").status_code == 401


@BOTH
def test_a_key_that_is_revoked_ends_its_open_stream(served: Served, binding: Any) -> None:
    key = served.key("caller")

    async def work(client: Client) -> list[str]:
        seen: list[str] = []
        async for event in client.send_message(SendMessageRequest(message=data({"seconds": 600}))):
            seen.append(str(event.WhichOneof("payload")))
            if len(seen) == 1:
                end = "update api_key set revoked_at = aos_now() where key_hash = %s"
                await asyncio.to_thread(revoke, served.world, end, token_hash(key))
                await asyncio.to_thread(served.door.run, served.door.services.facts.refresh())
        return seen

    assert "artifact_update" not in served.speak("naps", work, binding=binding)


def test_what_an_agent_returns_deeper_than_the_protocol_holds_comes_as_its_text() -> None:
    value: Any = 1
    for _ in range(120):
        value = [value]
    part = part_of(value)
    assert (part.text, part.media_type) == (json.dumps(value), "application/json")


def test_a_budget_that_comes_along_bounds_the_run(served: Served) -> None:
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"data": 1}]}
    metadata = {"aos/budget-left": {"amount": "1.50", "currency": "EUR"}, "traceparent": "00-a-b-01"}
    served.rpc("echo", "SendMessage", {"message": message, "metadata": metadata})
    assert served.world.rows("select limit_nanos, currency from budget where scope = 'run'") == [(1_500_000_000, "EUR")]
    assert served.world.rows("select labels ->> 'traceparent' from run") == [("00-a-b-01",)]


def test_a_person_calls_with_a_token_of_their_own(served: Served) -> None:
    served.keys["maria"] = served.door.personal_token("operator")
    task = served.speak("echo", lambda client: send(client, text("hi")), caller="maria")
    assert state(task) == "COMPLETED"
