"""The Work stream with official clients: agents outside take tasks, call tools, wait for people, die, and answer."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import grpc
import pytest

from aos.data_plane.grpc import aos_pb2
from aos.kernel.workflow.spec import RetrySpec, TaskSpec, WorkflowSpec
from aos.operations.approvals import Answer
from tests.contract.grpc_peer import Peer, api_key, one_task, outside, serving
from tests.contract.grpc_stories import clerks, opened, played
from tests.contract.mcp_peer import LARGE, PAY
from tests.databases import Database
from tests.working import Working, add_workflow, working
from tests.worlds import World, make_world


@pytest.fixture
def world(database: Database) -> World:
    return clerks(database)


def test_an_agent_takes_a_task_calls_a_tool_and_answers(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        stream = peer.work(key)
        welcome = await stream.hello()
        assert (welcome.agent, welcome.slots, welcome.lease_seconds) == ("clerk", 3, 15)
        run_id = await aos.start("job", input={"n": 7}, goal="pay it", labels={"month": "1"})
        start = await stream.next("start")
        assert (json.loads(start.input), start.context.goal) == ({"n": 7}, "pay it")
        assert (start.context.run_id, dict(start.context.labels)) == (str(run_id), {"month": "1"})
        done = await stream.tool(start, "payments.create", PAY, call_id=5)
        assert (done.call_id, done.state, json.loads(done.value)) == (5, "performed", "ok")
        closed = await stream.returned(start, {"paid": True})
        assert (closed.task_id, closed.HasField("error")) == (start.task_id, False)
        run = await aos.ended(run_id)
        assert (run["state"], run["output"]) == ("succeeded", {"paid": True})
        ((action),) = aos.rows("select * from action where kind = 'tool'")
        assert str(action["task_id"]) == start.task_id
        await aos.check_books()
        await stream.close()

    played(world, scenario)


def test_the_tasks_token_opens_the_other_calls_while_its_claim_stands(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        stream = await opened(peer, key)
        await aos.start("job", input={"n": 1})
        start = await stream.next("start")
        request = aos_pb2.CallToolRequest(name="payments.create", arguments=json.dumps(PAY).encode())
        done = await peer.call("CallTool", request, start.token)
        ((action),) = aos.rows("select * from action where kind = 'tool'")
        assert (str(action["id"]), str(action["task_id"])) == (done.action_id, start.task_id)
        refused = await peer.refused("StartRun", aos_pb2.StartRunRequest(workflow="job"), start.token)
        assert refused.code is grpc.StatusCode.PERMISSION_DENIED
        await stream.returned(start)
        late = await peer.refused("CallTool", request, start.token)
        assert late.code is grpc.StatusCode.UNAUTHENTICATED
        await stream.close()

    played(world, scenario)


def test_a_call_that_waits_is_parked_and_done_once_after_the_yes(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        stream = await opened(peer, key)
        run_id = await aos.start("job", input={"n": 1})
        start = await stream.next("start")
        first = await stream.tool(start, "payments.create", PAY, call_id=1)
        waits = await stream.tool(start, "payments.create", LARGE, call_id=2)
        assert (first.state, waits.state) == ("performed", "waiting")
        await stream.send(ended=aos_pb2.Ended(token=start.token, outcome=aos_pb2.End.SUSPENDED))
        assert not (await stream.next("closed")).HasField("error")
        ((task),) = aos.rows("select state, waits_for from task")
        assert (task["state"], task["waits_for"]) == ("waiting", "approval")
        ((approval),) = aos.rows("select id from approval")
        assert str(approval["id"]) == waits.approval_id
        await aos.answer(approval["id"], Answer.APPROVE)
        again = await stream.next("start")
        assert (again.task_id, again.context.attempt) == (start.task_id, 1)
        ((recorded),) = again.history
        assert (recorded.state, json.loads(recorded.value)) == ("performed", "ok")
        repeated = await stream.tool(again, "payments.create", PAY)
        done = await stream.tool(again, "payments.create", LARGE)
        assert (repeated.state, done.state) == ("performed", "performed")
        assert len(aos.running.caller.calls) == 2
        await stream.returned(again)
        assert (await aos.ended(run_id))["state"] == "succeeded"
        await stream.close()

    played(world, scenario)


def test_an_agent_may_hold_its_task_while_a_person_is_asked(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        stream = await opened(peer, key)
        await aos.start("job", input={"n": 1})
        start = await stream.next("start")
        waits = await stream.tool(start, "payments.create", LARGE, key="pay-1")
        assert waits.state == "waiting"
        await aos.answer(aos.rows("select id from approval")[0]["id"], Answer.APPROVE)
        done = await stream.tool(start, "payments.create", LARGE, key="pay-1")
        assert done.state == "performed"
        await stream.returned(start)
        await stream.close()

    played(world, scenario)


def test_a_killed_agents_task_comes_again_and_its_late_answer_is_refused(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        dying = await opened(peer, key)
        run_id = await aos.start("job", input={"n": 1})
        first = await dying.next("start")
        assert (await dying.tool(first, "payments.create", PAY)).state == "performed"
        dying.call.cancel()
        stream = await opened(peer, key)
        world.rows("update task set lease_until = aos_now()")
        second = await stream.next("start")
        assert (second.task_id, second.context.attempt) == (first.task_id, 1)
        assert second.token != first.token
        late = await stream.returned(first, "late")
        assert late.error.slug == "stale-claim"
        late_call = await stream.tool(first, "payments.create", PAY)
        assert (late_call.state, late_call.error.slug) == ("failed", "stale-claim")
        assert (await stream.tool(second, "payments.create", PAY)).state == "performed"
        assert len(aos.running.caller.calls) == 1
        await stream.returned(second, "in time")
        run = await aos.ended(run_id)
        assert run["output"] == "in time"
        # Twice where the server had not noticed the cut yet, and the dead stream took the task once more.
        assert aos.rows("select claims from task")[0]["claims"] in (1, 2)
        await aos.check_books()
        await stream.close()

    played(world, scenario)


def test_who_asks_for_a_refused_act_again_and_again_is_ended_on_whichever_stream(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        first, second = await opened(peer, key), await opened(peer, key)
        run_id = await aos.start("job", input={"n": 1})
        ready, _ = await asyncio.wait(
            [asyncio.create_task(each.next("start")) for each in (first, second)],
            return_when=asyncio.FIRST_COMPLETED,
        )
        start = ready.pop().result()
        streams = [await opened(peer, key, slots=1) for _ in range(2)]
        for n in range(4):
            refused = await streams[n % 2].tool(start, "payments.refund", PAY)
            assert (refused.state, refused.error.slug) == ("refused", "denied")
        last = await streams[0].tool(start, "payments.refund", PAY)
        assert (last.state, last.error.slug) == ("failed", "refused-again")
        assert (await streams[0].next("cancel")).task_id == start.task_id
        assert (await aos.ended(run_id))["state"] == "failed"
        assert aos.rows("select state, error_code, attempt from task") == [
            {"state": "failed", "error_code": "refused-again", "attempt": 1}
        ]
        await aos.check_books()
        for each in (first, second, *streams):
            each.call.cancel()

    job = one_task("clerk", input={"n": "${input.n}"}, retry=RetrySpec(attempts=3))
    played(world, scenario, job)


def test_one_organizations_streams_leave_calls_for_the_others(world: World) -> None:
    add_workflow(world, one_task("clerk"))

    async def main() -> None:
        key = api_key(world, "clerk")
        async with working(world) as aos, serving(aos, calls_max=8) as peer:
            streams = [await opened(peer, key) for _ in range(4)]
            refused = await peer.work(key).ended_with()
            assert (refused.code, refused.slug) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "rate-limited")
            await streams.pop().close()
            streams.append(await opened(peer, key))
            for each in streams:
                each.call.cancel()

    asyncio.run(main())


def test_streams_that_are_gone_take_no_task_away_from_one_that_is_there(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        for gone in [await opened(peer, key) for _ in range(8)]:
            gone.call.cancel()
        stream = await opened(peer, key)
        run_id = await aos.start("job", input={"n": 1})
        await stream.returned(await stream.next("start"), "at once")
        assert (await aos.ended(run_id))["output"] == "at once"
        assert aos.rows("select claims from task") == [{"claims": 0}], "no lease was waited out"
        await stream.close()

    played(world, scenario)


def test_a_task_whose_stream_ends_before_it_is_sent_comes_again_at_once(world: World) -> None:
    flow = WorkflowSpec("job", tasks=tuple(TaskSpec(f"t{n}", "clerk", input="x" * 900_000) for n in range(3)))

    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        deaf = await opened(peer, key)  # three large tasks are more than a stream holds that is not read
        await aos.start("job")
        await aos.until("select 1 from task where state = 'running' having count(*) = 3")
        deaf.call.cancel()
        stream = await opened(peer, key)
        await stream.next("start")
        assert aos.rows("select max(claims) as claims from task") == [{"claims": 0}], "no lease was waited out"
        stream.call.cancel()

    played(world, scenario, flow)


def test_a_token_counts_on_whichever_stream_and_process_it_arrives(world: World) -> None:
    """The agent's connection breaks, not the agent: it goes on through another process."""
    add_workflow(world, one_task("clerk"))

    async def main() -> None:
        key = api_key(world, "clerk")
        async with working(world) as one, working(world, started=False) as two, serving(two) as second:
            async with serving(one) as first:
                broken = await opened(first, key)
                run_id = await one.start("job")
                start = await broken.next("start")
                broken.call.cancel()
            stream = await opened(second, key)
            await stream.send(beat=aos_pb2.Beat(tokens=[start.token]))
            assert (await stream.tool(start, "payments.create", PAY)).state == "performed"
            assert not (await stream.returned(start, "done")).HasField("error")
            assert (await one.ended(run_id))["output"] == "done"
            await stream.close()

    asyncio.run(main())


def test_a_stream_holds_no_more_tasks_than_it_has_slots(world: World) -> None:
    flow = WorkflowSpec("job", tasks=tuple(TaskSpec(f"t{n}", "clerk", input=n) for n in range(5)))

    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        stream = peer.work(key)
        assert (await stream.hello(slots=50)).slots == 3  # as many as the agent has
        run_id = await aos.start("job")
        held = [await stream.next("start") for _ in range(3)]
        await aos.until("select 1 from task where state = 'waiting' and waits_for = 'work' having count(*) = 2")
        other = await opened(peer, key, slots=1)
        fourth = await other.next("start")
        await stream.returned(held.pop())
        fifth = await stream.next("start")
        for start in (*held, fifth):
            await stream.returned(start)
        await other.returned(fourth)
        assert (await aos.ended(run_id))["state"] == "succeeded"
        assert len({json.loads(each.input) for each in (*held, fourth, fifth)}) == 4
        await asyncio.gather(stream.close(), other.close())

    played(world, scenario, flow)


def test_a_beat_renews_leases_and_tells_what_was_taken_away(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        stream = await opened(peer, key)
        run_id = await aos.start("job", input={"n": 1})
        start = await stream.next("start")
        world.rows("update task set lease_until = lease_until - interval '10 seconds'")
        await stream.send(beat=aos_pb2.Beat())
        await aos.until("select 1 from task where lease_until > aos_now() + interval '10 seconds'")
        await aos.do.runs.cancel_run(aos.person, run_id)
        await stream.send(beat=aos_pb2.Beat())
        assert (await stream.next("cancel")).task_id == start.task_id
        closed = await stream.returned(start)
        assert closed.error.slug == "stale-claim"
        await stream.close()

    played(world, scenario)


def test_a_task_whose_time_is_over_is_taken_from_its_agent(world: World) -> None:
    flow = one_task("clerk", timeout_seconds=60.0)

    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        stream = await opened(peer, key)
        run_id = await aos.start("job")
        start = await stream.next("start")
        assert start.deadline
        world.rows("update task set ready_at = ready_at - interval '61 seconds'")
        other = await opened(peer, key)  # a stream that is told of the task reads when it was taken
        await other.send(beat=aos_pb2.Beat(tokens=[start.token]))
        assert (await other.next("cancel")).task_id == start.task_id
        run = await aos.ended(run_id)
        assert (run["state"], aos.tasks(run_id)["work"]["error_code"]) == ("failed", "timed-out")
        await asyncio.gather(stream.close(), other.close())

    played(world, scenario, flow)


def test_neither_a_call_nor_an_answer_counts_once_the_attempts_time_is_over(world: World) -> None:
    flow = one_task("clerk", timeout_seconds=60.0, retry=RetrySpec(2, 0.01, 0.01))

    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        stream = await opened(peer, key)
        run_id = await aos.start("job")
        for attempt in range(2):
            start = await stream.next("start")
            world.rows("update task set ready_at = ready_at - interval '61 seconds'")
            other = await opened(peer, key, slots=1)
            if attempt == 0:
                late = await other.tool(start, "payments.create", PAY)
                assert (late.state, late.error.slug) == ("failed", "deadline-exceeded")
            else:
                closed = await other.returned(start, "late")
                assert closed.error.slug == "deadline-exceeded"
            other.call.cancel()
        run = await aos.ended(run_id)
        assert (run["state"], aos.tasks(run_id)["work"]["error_code"]) == ("failed", "timed-out")
        assert aos.running.caller.calls == []
        await aos.check_books()
        stream.call.cancel()

    played(world, scenario, flow)


@pytest.mark.parametrize(("final", "attempts"), [(False, 2), (True, 1)])
def test_a_failure_is_attempted_again_unless_it_is_final(world: World, final: bool, attempts: int) -> None:
    flow = one_task("clerk", retry=RetrySpec(2, 0.01, 0.01))

    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        stream = await opened(peer, key)
        run_id = await aos.start("job")
        for attempt in range(1, attempts + 1):
            start = await stream.next("start")
            assert start.context.attempt == attempt
            error = aos_pb2.Error(slug="OutOfPaper", detail="the tray is empty")
            ended = aos_pb2.Ended(token=start.token, outcome=aos_pb2.End.RAISED, error=error, final=final)
            await stream.send(ended=ended)
            assert not (await stream.next("closed")).HasField("error")
        assert (await aos.ended(run_id))["state"] == "failed"
        task = aos.tasks(run_id)["work"]
        assert task["error_code"] == "raised"
        kept: Any = aos.content(task["error_content_id"])
        assert kept["detail"] == "OutOfPaper: the tray is empty"
        await stream.close()

    played(world, scenario, flow)


def test_leaving_out_an_act_that_was_performed_fails_the_task(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        stream = await opened(peer, key)
        run_id = await aos.start("job", input={"n": 1})
        start = await stream.next("start")
        assert (await stream.tool(start, "payments.create", PAY, key="paid")).state == "performed"
        reached = [aos_pb2.Reached(key="another")]
        ended = aos_pb2.Ended(token=start.token, outcome=aos_pb2.End.RETURNED, value=b"1", reached=reached)
        await stream.send(ended=ended)
        await stream.next("closed")
        await aos.ended(run_id)
        assert aos.tasks(run_id)["work"]["error_code"] == "diverged"
        await stream.close()

    played(world, scenario)


def test_steps_and_spawned_tasks_go_through_the_stream_as_through_the_sdk(world: World) -> None:
    agents = [outside("clerk", slots=2, delegates=["clerk"])]
    database = world.test_database
    nested = make_world(database, agents=agents, keys=world.keys)

    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        stream = await opened(peer, key)
        run_id = await aos.start("job", input={"n": 1})
        parent = await stream.next("start")
        spawn = aos_pb2.Call(token=parent.token, kind="spawn", name="clerk", arguments=b'{"input": {"n": 2}}', key="s")
        await stream.send(call=spawn)
        spawned = await stream.next("result")
        assert spawned.state == "performed"
        child = await stream.next("start")
        assert json.loads(child.input) == {"n": 2}
        await stream.returned(child, "child")
        task_id = json.loads(spawned.value)["task_id"]
        asked = json.dumps({"task_ids": [task_id]}).encode()
        await stream.send(call=aos_pb2.Call(token=parent.token, kind="children", name="", arguments=asked, key="c"))
        joined = await stream.next("result")
        assert json.loads(joined.value)[0]["value"] == "child"
        await stream.returned(parent, "parent")
        assert (await aos.ended(run_id))["output"] == "parent"
        await stream.close()

    played(nested, scenario)
