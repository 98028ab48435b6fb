"""Tasks for agents that have nothing but HTTP and JSON: taken, kept, parked, answered; the operations are the stream's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx
import pytest

from aos.operations.approvals import Answer
from aos.operations.tokens import TaskToken, make_task_token
from tests.contract.grpc_peer import one_task, outside
from tests.contract.mcp_peer import ASK, LARGE, PAY
from tests.databases import Database
from tests.doors import Door, claim_task, open_door
from tests.working import Working, add_workflow, working
from tests.worlds import World, agent, make_world, payments


class Outside:
    """An agent outside, by hand."""

    def __init__(self, door: Door, token: str) -> None:
        self._door = door
        self._token = token

    async def post(self, path: str, body: Any = None, *, token: str | None = None, **headers: str) -> httpx.Response:
        """Send one request."""
        sent = {"Authorization": f"Bearer {token or self._token}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await asyncio.to_thread(self._door.client.post, path, json={} if body is None else body, headers=sent)

    async def take(self, **more: Any) -> list[dict[str, Any]]:
        """Take tasks, waiting for the first."""
        answer = await self.post("/tasks/take", {"wait": 20, **more})
        assert answer.status_code == 200, answer.text
        assert answer.json()["lease_seconds"] == 15
        found: list[dict[str, Any]] = answer.json()["tasks"]
        return found

    async def say(self, task: dict[str, Any], verb: str, **body: Any) -> httpx.Response:
        """Say something of a task."""
        return await self.post(f"/tasks/{task['task_id']}/{verb}", body, token=task["token"])

    async def tool(self, task: dict[str, Any], arguments: Any, key: str) -> httpx.Response:
        """Call the payments tool in a task."""
        return await self.post(
            "/tools/payments.create/call", {"arguments": arguments}, token=task["token"], idempotency_key=key
        )


Scenario = Callable[[Working, Outside], Awaitable[None]]


@pytest.fixture
def world(database: Database) -> World:
    agents = [outside("clerk", "payments.create", slots=2), outside("other"), agent("finance", "payments.create")]
    world = make_world(database, agents=agents, tools=[payments()], rules=[replace(ASK, agents=("clerk",))])
    add_workflow(world, one_task("clerk", input={"n": "${input.n}"}))
    return world


def played(world: World, scenario: Scenario, agent_name: str = "clerk") -> None:
    """Run a scenario against a data plane beside a worker."""

    async def main() -> None:
        async with working(world) as aos:
            await scenario(aos, Outside(door, door.api_key(agent_name)))

    with open_door(world, listens=True) as door:
        asyncio.run(main())


def test_a_task_is_waited_for_worked_on_and_answered(world: World) -> None:
    async def scenario(aos: Working, outside: Outside) -> None:
        waiting = asyncio.create_task(outside.take())
        run_id = await aos.start("job", input={"n": 7}, goal="pay it")
        ((task),) = await waiting
        assert (task["name"], task["input"], task["goal"], task["attempt"]) == ("work", {"n": 7}, "pay it", 1)
        assert task["run_id"] == str(run_id)
        assert (await outside.say(task, "heartbeat")).json() == {"lease_seconds": 15, "paused": False}
        assert (await outside.tool(task, PAY, "k1")).json()["value"] == "ok"
        done = await outside.say(task, "complete", output={"paid": True})
        assert done.json() == {"task_id": task["task_id"], "state": "succeeded"}
        run = await aos.ended(run_id)
        assert (run["state"], run["output"]) == ("succeeded", {"paid": True})
        ((action),) = aos.rows("select task_id from action where kind = 'tool'")
        assert str(action["task_id"]) == task["task_id"]
        await aos.check_books()

    played(world, scenario)


def test_a_call_that_waits_is_parked_and_made_once_when_the_task_comes_again(world: World) -> None:
    async def scenario(aos: Working, outside: Outside) -> None:
        run_id = await aos.start("job", input={"n": 1})
        ((task),) = await outside.take()
        waits = await outside.tool(task, LARGE, "pay-large")
        assert waits.status_code == 202
        approval = waits.json()["approval_id"]
        assert (await outside.say(task, "park", approval_id=approval)).json()["state"] == "waiting"
        assert await outside.take(wait=0) == []
        await aos.answer(aos.rows("select id from approval")[0]["id"], Answer.APPROVE)
        ((again),) = await outside.take()
        assert (again["task_id"], again["attempt"]) == (task["task_id"], 1)
        done = await outside.tool(again, LARGE, "pay-large")
        assert done.json().get("value") == "ok", done.text
        assert len(door_calls(aos, outside)) == 1
        await outside.say(again, "complete")
        assert (await aos.ended(run_id))["state"] == "succeeded"

    played(world, scenario)


def door_calls(aos: Working, outside: Outside) -> list[Any]:
    """Return the calls of tools that the data plane made."""
    calls: list[Any] = outside._door.caller.calls
    return calls


def test_who_stops_beating_loses_the_task_and_can_write_nothing_more(world: World) -> None:
    async def scenario(aos: Working, outside: Outside) -> None:
        run_id = await aos.start("job", input={"n": 1})
        ((first),) = await outside.take()
        world.rows("update task set lease_until = aos_now()")
        ((second),) = await outside.take()
        assert second["task_id"] == first["task_id"]
        for verb in ("heartbeat", "complete", "fail", "park"):
            late = await outside.say(first, verb)
            assert (late.status_code, late.json()["type"]) == (409, "urn:aos:problem:stale-claim")
        assert (await outside.tool(first, PAY, "k")).status_code == 401
        await outside.say(second, "complete", output="in time")
        assert (await aos.ended(run_id))["output"] == "in time"

    played(world, scenario)


def test_a_failure_says_why(world: World) -> None:
    async def scenario(aos: Working, outside: Outside) -> None:
        run_id = await aos.start("job", input={"n": 1})
        ((task),) = await outside.take()
        failed = await outside.say(task, "fail", error="OutOfPaper", detail="the tray is empty", final=True)
        assert failed.json()["state"] == "failed"
        assert (await aos.ended(run_id))["state"] == "failed"
        row = aos.tasks(run_id)["work"]
        kept: Any = aos.content(row["error_content_id"])
        assert kept["detail"] == "OutOfPaper: the tray is empty"

    played(world, scenario)


def test_one_request_takes_no_more_than_the_agent_has_slots(world: World) -> None:
    async def scenario(aos: Working, outside: Outside) -> None:
        for number in range(3):
            await aos.start("job", input={"n": number})
        await aos.until("select 1 from task where waits_for = 'work' having count(*) = 3")
        assert (await outside.post("/tasks/take", {"max": 3})).status_code == 400
        assert len(await outside.take(max=2)) == 2
        assert len(await outside.take(max=2)) == 1

    played(world, scenario)


def test_bad_requests_are_refused_with_their_field(world: World) -> None:
    async def scenario(aos: Working, outside: Outside) -> None:
        await aos.start("job", input={"n": 1})
        ((task),) = await outside.take()
        for path, body, token, status in (
            ("/tasks/take", {"max": 0}, None, 400),
            ("/tasks/take", {"max": True}, None, 400),
            ("/tasks/take", {"wait": 61}, None, 400),
            ("/tasks/take", {"other": 1}, None, 400),
            ("/tasks/take", {}, task["token"], 403),
            ("/tasks/take", {}, "aos_unknown", 401),
            (f"/tasks/{task['task_id']}/destroy", {}, task["token"], 404),
            (f"/tasks/{task['task_id']}/complete", {"result": 1}, task["token"], 400),
            (f"/tasks/{task['task_id']}/park", {"approval_id": "yes"}, task["token"], 400),
            (f"/tasks/{task['task_id']}/fail", {"detail": 1}, task["token"], 400),
            (f"/tasks/{uuid4()}/complete", {}, task["token"], 409),
            (f"/tasks/{task['task_id']}/complete", {}, None, 401),
        ):
            answer = await outside.post(path, body, token=token)
            assert (path, body, answer.status_code) == (path, body, status)
        assert (await outside.say(task, "complete")).status_code == 200

    played(world, scenario)


def test_a_body_that_cannot_be_read_loses_no_task(world: World) -> None:
    deep = b"[" * 40 + b"]" * 40

    async def scenario(aos: Working, outside: Outside) -> None:
        run_id = await aos.start("job", input={"n": 1})
        ((task),) = await outside.take()
        headers = {"Authorization": f"Bearer {task['token']}", "Content-Type": "application/json"}
        for body, status in (
            (b"{", 400),
            (b"[]", 400),
            (b'{"output": "\xff"}', 400),
            (b"[" * 100_000, 400),
            (b'{"output": ' + b'{"a":' * 100_000, 400),
            (b'{"output": ' + deep * 100 + b"}", 400),
            (b'{"output": ' + b"[" * 500 + b"]" * 500 + b"}", 400),
            (b'{"output": "' + b"x" * 10_000_000 + b'"}', 413),
        ):
            answer = await asyncio.to_thread(
                outside._door.client.post, f"/tasks/{task['task_id']}/complete", content=body, headers=headers
            )
            assert (body[:30], answer.status_code) == (body[:30], status)
            assert answer.headers["content-type"] == "application/problem+json"
        assert (await outside.say(task, "complete", output=7)).json()["state"] == "succeeded"
        assert (await aos.ended(run_id))["output"] == 7

    played(world, scenario)


def test_a_task_that_a_worker_runs_is_not_ended_here_by_its_token(world: World) -> None:
    with open_door(world) as door:
        run, task, claim = claim_task(world, "finance")
        key = door.run(door.services.facts.of(world.organization_id)).key("token").private
        token = make_task_token(TaskToken(world.organization_id, run, task, claim), key)
        for verb in ("heartbeat", "complete", "fail", "park"):
            answer = door.client.post(f"/tasks/{task}/{verb}", json={}, headers={"Authorization": f"Bearer {token}"})
            assert (answer.status_code, answer.json()["type"]) == (403, "urn:aos:problem:forbidden")
        assert world.rows("select state, claim_token from task where id = %s", task) == [("running", claim)]


def test_who_asks_for_tasks_is_known_to_be_there_and_since_when(world: World) -> None:
    async def scenario(aos: Working, outside: Outside) -> None:
        assert world.rows("select * from agent_presence") == []
        assert (await outside.post("/tasks/take")).json()["tasks"] == []
        query = "select a.name, s.first_at <= s.last_at from agent_presence s join agent a on a.id = s.agent_id"
        assert world.rows(query) == [("clerk", True)]
        ((before,),) = world.rows("select last_at from agent_presence")
        await outside.post("/tasks/take")
        assert world.rows("select last_at from agent_presence") == [(before,)], "a moment ago is enough"

    played(world, scenario)


def test_an_agent_that_workers_run_takes_nothing_here(world: World) -> None:
    async def scenario(aos: Working, outside: Outside) -> None:
        refused = await outside.post("/tasks/take", {})
        assert (refused.status_code, refused.json()["title"]) == (409, "Conflict")
        assert "runtime: {work: {}}" in refused.json()["detail"]

    played(world, scenario, "finance")


def test_who_asks_for_a_refused_act_again_and_again_is_ended(world: World) -> None:
    async def scenario(aos: Working, outside: Outside) -> None:
        run_id = await aos.start("job", input={"n": 1})
        (task,) = await outside.take()
        said = [
            (await outside.post("/tools/payments.refund/call", {"arguments": PAY}, token=task["token"])).json()["type"]
            for _ in range(6)
        ]
        assert [each.rpartition(":")[2] for each in said] == ["denied"] * 4 + ["refused-again", "unauthenticated"]
        assert (await aos.ended(run_id))["state"] == "failed"
        assert aos.rows("select error_code from task") == [{"error_code": "refused-again"}]
        assert (await outside.say(task, "complete")).status_code == 409

    played(world, scenario)


@pytest.mark.parametrize(("verb", "said"), [("complete", {"output": 1}), ("fail", {"error": "x"}), ("park", {})])
def test_what_comes_after_the_attempts_deadline_is_not_taken(world: World, verb: str, said: dict[str, Any]) -> None:
    add_workflow(world, replace(one_task("clerk", timeout_seconds=60.0), name="timed"))

    async def scenario(aos: Working, outside: Outside) -> None:
        run_id = await aos.start("timed")
        (task,) = await outside.take()
        world.rows("update task set ready_at = ready_at - interval '61 seconds' returning 1")
        late = await outside.say(task, verb, **said)
        assert (late.status_code, late.json()["title"]) == (504, "Deadline exceeded")
        assert "was over at" in late.json()["detail"]
        run = await aos.ended(run_id)
        assert (run["state"], aos.tasks(run_id)["work"]["error_code"]) == ("failed", "timed-out")
        assert (await outside.say(task, verb, **said)).status_code == 409
        await aos.check_books()

    played(world, scenario)


def test_a_taker_who_goes_away_takes_nothing_with_it(world: World) -> None:
    async def scenario(aos: Working, outside: Outside) -> None:
        with pytest.raises(httpx.ReadTimeout):
            await asyncio.to_thread(
                outside._door.client.post, "/tasks/take", json={"wait": 60}, timeout=0.2,
                headers={"Authorization": f"Bearer {outside._token}"},
            )  # fmt: skip
        await aos.start("job", input={"n": 1})
        ((task),) = await outside.take()
        assert (await outside.say(task, "complete")).status_code == 200

    played(world, scenario)
