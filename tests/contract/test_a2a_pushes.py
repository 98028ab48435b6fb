"""Push notifications: what a real receiver is told, again after it failed, and addresses that are refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from a2a.client import Client
from a2a.types import (
    AuthenticationInfo,
    DeleteTaskPushNotificationConfigRequest,
    GetTaskPushNotificationConfigRequest,
    ListTaskPushNotificationConfigsRequest,
    StreamResponse,
    Task,
    TaskPushNotificationConfig,
)
from a2a.utils.errors import InvalidParamsError, TaskNotFoundError
from google.protobuf.json_format import ParseDict

from aos.operations.a2a_pushes import A2aPushes
from tests.contract.a2a_elsewhere import Elsewhere, drip, elsewhere
from tests.contract.a2a_peer import BOTH, Served, data, run_agent, send, serving, state
from tests.databases import Database
from tests.doors import open_door, until
from tests.worlds import agent, make_world


@pytest.fixture
def receiver() -> Iterator[Elsewhere]:
    with elsewhere(lambda method, body: {}) as found:
        yield found


@pytest.fixture
def served(database: Database, receiver: Elsewhere) -> Iterator[Served]:
    agents = [run_agent("echo"), run_agent("naps"), agent("caller", delegates=("echo", "naps"), runtime=None)]
    with serving(make_world(database, agents=agents, hosts=[receiver.host])) as found:
        yield found


def told(receiver: Elsewhere) -> list[Task]:
    """Return the tasks that came, as the protocol reads them."""
    events = [ParseDict(each.body, StreamResponse()) for each in receiver.heard]
    assert all(event.WhichOneof("payload") == "task" for event in events)
    return [event.task for event in events]


def ends(receiver: Elsewhere) -> Callable[[], bool]:
    return lambda: bool(receiver.heard) and state(told(receiver)[-1]) in ("COMPLETED", "CANCELED", "FAILED")


@BOTH
def test_a_receiver_is_told_each_state_with_the_token_and_what_it_came_to(
    served: Served, receiver: Elsewhere, binding: Any
) -> None:
    push = TaskPushNotificationConfig(
        id="mine",
        url=f"{receiver.url}/hook?x=1",
        token="t0ken",
        authentication=AuthenticationInfo(scheme="Bearer", credentials="cr3d"),
    )

    async def work(client: Client) -> Task:
        return await send(client, data({"seconds": 1.5}), return_immediately=True, task_push_notification_config=push)

    task = served.speak("naps", work, binding=binding)
    until(ends(receiver))
    assert {each.id for each in told(receiver)} == {task.id}
    assert state(told(receiver)[-1]) == "COMPLETED"
    assert told(receiver)[-1].artifacts[0].parts[0].data.struct_value["seconds"] == 1.5
    assert len(receiver.heard) >= 2
    for each in receiver.heard:
        assert (each.method, each.path) == ("POST", "/hook?x=1")
        assert each.headers["x-a2a-notification-token"] == "t0ken"
        assert each.headers["authorization"] == "Bearer cr3d"
        assert each.headers["content-type"] == "application/a2a+json"
    until(lambda: served.world.rows("select state from a2a_push") == [("done",)])


def test_a_receiver_that_fails_is_told_again(served: Served, receiver: Elsewhere) -> None:
    receiver.status = 500
    push = TaskPushNotificationConfig(url=receiver.url)

    async def work(client: Client) -> Task:
        return await send(client, data(1), task_push_notification_config=push)

    served.speak("echo", work)
    until(lambda: len(receiver.heard) >= 1)
    until(lambda: served.world.rows("select tries, sent_phase from a2a_push") == [(1, None)])
    receiver.status = 200
    until(lambda: served.world.rows("select state from a2a_push") == [("done",)])
    assert len(receiver.heard) >= 2
    assert state(told(receiver)[-1]) == "COMPLETED"


def test_a_receiver_whose_notification_was_taken_by_a_worker_that_died_is_told_by_another(
    served: Served, receiver: Elsewhere
) -> None:
    push = TaskPushNotificationConfig(url=receiver.url)

    async def work(client: Client) -> Task:
        return await send(client, data({"seconds": 600}), return_immediately=True, task_push_notification_config=push)

    served.speak("naps", work)
    quiet = (
        "select 1 from a2a_push p join a2a_task_now t on t.id = p.task_id"
        " where p.sent_phase = t.phase and t.phase = 'working'"
    )
    until(lambda: bool(served.world.rows(quiet)))
    heard = len(receiver.heard)
    # A worker that took the next one and died: it stands taken, and was never told.
    served.world.rows(
        "update a2a_push set sent_phase = null, tries = 1, next_at = aos_now() - interval '1 second' returning 1"
    )
    until(lambda: len(receiver.heard) > heard)


def test_a_task_at_which_nothing_changes_is_looked_at_less_and_less(served: Served, receiver: Elsewhere) -> None:
    push = TaskPushNotificationConfig(url=receiver.url)

    async def work(client: Client) -> Task:
        return await send(client, data({"seconds": 600}), return_immediately=True, task_push_notification_config=push)

    served.speak("naps", work)
    rested = "select 1 from a2a_push where quiet >= 3 and next_at > aos_now() + interval '1.5 s'"
    until(lambda: served.world.rows(rested) != [])
    assert served.world.rows("update a2a_push set quiet = 1000000 returning next_at < aos_now() + interval '6 s'") == [
        (True,)
    ]
    until(lambda: served.world.rows("select quiet from a2a_push") == [(1_000_001,)])


def test_a_receiver_that_drips_its_answer_holds_up_nobody(database: Database, receiver: Elsewhere) -> None:
    receiver.raw = drip
    agents = [run_agent("echo"), agent("caller", delegates=("echo",), runtime=None)]
    world = make_world(database, agents=agents, hosts=[receiver.host])
    with open_door(world, listens=True) as door:
        push = {"url": receiver.url}
        params = {
            "message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"data": 1}]},
            "configuration": {"returnImmediately": True, "taskPushNotificationConfig": push},
        }
        headers = {"Authorization": f"Bearer {door.api_key('caller')}", "A2A-Version": "1.0"}
        body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": params}
        assert "result" in door.client.post("/a2a/echo", json=body, headers=headers).json()
        pushes = A2aPushes(door.running.database, door.running.facts, door.running.drivers)
        pushes.deliver_seconds = 0.2
        (taken,) = door.run(pushes.take())
        assert door.run(pushes.deliver(taken)) is False
    assert world.rows("select state, tries, next_at < aos_now() + interval '10 s' from a2a_push") == [
        ("active", 1, True)
    ]


def test_a_receiver_that_never_answers_well_is_given_up(served: Served, receiver: Elsewhere) -> None:
    receiver.status = 404
    push = TaskPushNotificationConfig(url=receiver.url)

    async def work(client: Client) -> Task:
        return await send(client, data(1), task_push_notification_config=push)

    served.speak("echo", work)
    until(lambda: len(receiver.heard) >= 1)
    served.world.rows("update a2a_push set tries = 19, next_at = aos_now() returning 1")
    until(lambda: served.world.rows("select state from a2a_push") == [("given-up",)])


def test_nobody_is_told_for_a_sender_who_has_left(served: Served, receiver: Elsewhere) -> None:
    push = TaskPushNotificationConfig(url=receiver.url)

    async def work(client: Client) -> Task:
        return await send(client, data({"seconds": 600}), return_immediately=True, task_push_notification_config=push)

    served.speak("naps", work)
    until(lambda: len(receiver.heard) >= 1)
    until(lambda: bool(served.world.rows("select 1 from a2a_push where next_at <= aos_now()")))
    heard = len(receiver.heard)
    served.world.rows("update agent set status = 'retired' where name = 'caller'")
    served.world.rows("update a2a_push set sent_phase = null, next_at = aos_now() returning 1")
    until(lambda: served.world.rows("select state from a2a_push") == [("given-up",)])
    assert len(receiver.heard) == heard


@BOTH
def test_addresses_are_made_found_listed_and_deleted_by_the_tasks_own_sender(
    served: Served, receiver: Elsewhere, binding: Any
) -> None:
    async def work(client: Client) -> None:
        task = await send(client, data({"seconds": 600}), return_immediately=True)
        for id in ("b", "a"):
            made = await client.create_task_push_notification_config(
                TaskPushNotificationConfig(task_id=task.id, id=id, url=f"{receiver.url}/{id}", token=id)
            )
            assert (made.id, made.task_id, made.url, made.token) == (id, task.id, f"{receiver.url}/{id}", id)
        unnamed = await client.create_task_push_notification_config(
            TaskPushNotificationConfig(task_id=task.id, url=receiver.url)
        )
        assert unnamed.id
        asked = GetTaskPushNotificationConfigRequest(task_id=task.id, id="a")
        assert (await client.get_task_push_notification_config(asked)).url == f"{receiver.url}/a"
        first = await client.list_task_push_notification_configs(
            ListTaskPushNotificationConfigsRequest(task_id=task.id, page_size=2)
        )
        rest = await client.list_task_push_notification_configs(
            ListTaskPushNotificationConfigsRequest(task_id=task.id, page_size=2, page_token=first.next_page_token)
        )
        assert sorted(each.id for each in (*first.configs, *rest.configs)) == sorted(["a", "b", unnamed.id])
        await client.delete_task_push_notification_config(
            DeleteTaskPushNotificationConfigRequest(task_id=task.id, id="a")
        )
        with pytest.raises(TaskNotFoundError):
            await client.get_task_push_notification_config(asked)

    served.speak("naps", work, binding=binding)
    erased = served.world.rows(
        "select c.sealed is null from a2a_push p join content c on c.id = p.config_content_id order by p.id"
    )
    assert erased.count((True,)) == 1


def test_names_that_no_database_holds_are_refused(served: Served) -> None:
    task = served.speak("naps", lambda client: send(client, data({"seconds": 600}), return_immediately=True))
    for method, params in (
        ("GetTaskPushNotificationConfig", {"taskId": task.id, "id": "\x00"}),
        ("DeleteTaskPushNotificationConfig", {"taskId": task.id, "id": "\x00"}),
        ("ListTaskPushNotificationConfigs", {"taskId": task.id, "pageToken": "\x00"}),
        ("ListTasks", {"contextId": "\x00"}),
    ):
        assert served.rpc("naps", method, params).json()["error"]["code"] == -32602, method
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"data": {"seconds": 600}}]}
    traced = {"message": message, "metadata": {"traceparent": "\x00"}, "configuration": {"returnImmediately": True}}
    assert "result" in served.rpc("naps", "SendMessage", traced).json()


@BOTH
def test_an_address_outside_the_permitted_hosts_is_refused_and_nothing_begins(
    served: Served, receiver: Elsewhere, binding: Any
) -> None:
    async def work(client: Client) -> None:
        for url in (
            "http://169.254.169.254/latest",
            "http://localhost:1/x",
            "file:///etc/passwd",
            "gopher://x",
            "http://",
        ):
            push = TaskPushNotificationConfig(url=url)
            with pytest.raises(InvalidParamsError):
                await send(client, data(1), task_push_notification_config=push)
        bad = TaskPushNotificationConfig(url=receiver.url, token="line\nbreak")
        with pytest.raises(InvalidParamsError):
            await send(client, data(1), task_push_notification_config=bad)

    served.speak("echo", work, binding=binding)
    assert served.world.rows("select count(*) from run") == [(0,)]


def test_an_address_that_is_permitted_no_more_is_not_spoken_to(served: Served, receiver: Elsewhere) -> None:
    push = TaskPushNotificationConfig(url=receiver.url)
    world = served.world

    async def work(client: Client) -> None:
        task = await send(client, data({"seconds": 600}), return_immediately=True)
        await asyncio.to_thread(
            world.rows,
            "update organization_settings set hosts = '{}' where organization_id = %s",
            world.organization_id,
        )
        world.rows("update organization set epoch = epoch + 1 where id = %s", world.organization_id)
        await asyncio.to_thread(served.door.run, served.door.services.facts.refresh())
        made = TaskPushNotificationConfig(task_id=task.id, url=push.url)
        with pytest.raises(InvalidParamsError):
            await client.create_task_push_notification_config(made)

    served.speak("naps", work)
    assert receiver.heard == []
