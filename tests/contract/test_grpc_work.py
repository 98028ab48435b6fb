"""The Work stream with official clients: agents outside take tasks, call tools, wait for people, die, and answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import grpc
import pytest

from aos.data_plane.grpc import aos_pb2
from aos.kernel.workflow.spec import RetrySpec, TaskSpec, WorkflowSpec
from aos.operations.approvals import Answer
from tests.contract.grpc_peer import Peer, Stream, api_key, one_task, outside, serving
from tests.contract.mcp_peer import ASK, LARGE, PAY
from tests.databases import Database
from tests.doors import personal_token, revoke
from tests.working import Working, add_workflow, working
from tests.worlds import World, agent, make_world, payments

Scenario = Callable[[Working, Peer, str], Awaitable[None]]
RULES = [replace(ASK, agents=("clerk",))]


@pytest.fixture
def world(database: Database) -> World:
    agents = [outside("clerk", "payments.create", slots=3), outside("other"), agent("finance")]
    return make_world(database, agents=agents, tools=[payments()], rules=RULES)


def played(world: World, scenario: Scenario, *workflows: WorkflowSpec) -> None:
    """Run a scenario against a server beside a worker, with a key of `clerk`."""
    for each in workflows or (one_task("clerk", input={"n": "${input.n}"}),):
        add_workflow(world, each)

    async def main() -> None:
        async with working(world) as aos, serving(aos) as peer:
            await scenario(aos, peer, api_key(world, "clerk"))

    asyncio.run(main())


async def opened(peer: Peer, key: str, slots: int = 0) -> Stream:
    """Open a stream and say Hello."""
    stream = peer.work(key)
    await stream.hello(slots)
    return stream


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


def test_a_bad_call_is_answered_and_the_stream_goes_on(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        stream = await opened(peer, key)
        await aos.start("job", input={"n": 1})
        start = await stream.next("start")
        deep = b'{"a":' + b"[" * 50 + b"]" * 50 + b"}"
        for kind, arguments in (("wish", b"{}"), ("tool", b"[]"), ("tool", b'{"a":'), ("tool", deep)):
            await stream.send(call=aos_pb2.Call(token=start.token, call_id=3, kind=kind, name="x", arguments=arguments))
            result = await stream.next("result")
            assert (result.call_id, result.state, result.error.slug) == (3, "failed", "invalid-request")
        for token in ("nonsense", "aost_" + "A" * 108):
            await stream.send(ended=aos_pb2.Ended(token=token, outcome=aos_pb2.End.RETURNED))
            assert (await stream.next("closed")).error.slug == "unauthenticated"
        await stream.send(ended=aos_pb2.Ended(token=start.token))
        assert (await stream.next("closed")).error.slug == "invalid-request"
        for value in (b'{"a":', b"\xff", b"[" * 100_000, deep * 100, b"[" * 500 + b"]" * 500):
            ended = aos_pb2.Ended(token=start.token, outcome=aos_pb2.End.RETURNED, value=value)
            await stream.send(ended=ended)
            assert (await stream.next("closed")).error.slug == "invalid-request", value[:20]
        unknown = await stream.tool(start, "payments.refund", {})
        assert (unknown.state, unknown.error.slug) == ("refused", "denied")
        await stream.close()

    played(world, scenario)


@pytest.mark.parametrize(
    ("kind", "name", "arguments"),
    [
        ("step", "a\0b", 1),
        ("tool", "a\0b", {}),
        ("tool", "payments.create", {**PAY, "iban": "a\0b"}),
        ("spawn", "other", {"input": 1, "name": "a\0b"}),
        ("spawn", "a\0b", {"input": 1}),
        ("signal", "a\0b", {}),
        ("timer", "x", {"seconds": 10**30}),
        ("report", "note", {"fields": {"code": "a\0b"}}),
        ("complete", "a\0b", {"messages": []}),
        ("ask", "a\0b", {"question": "a\0b"}),
    ],
)
def test_a_call_of_what_no_column_holds_is_the_callers_fault_and_holds_up_nothing(
    world: World, kind: str, name: str, arguments: Any
) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        stream = await opened(peer, key)
        await aos.start("job", input={"n": 1})
        start = await stream.next("start")
        call = aos_pb2.Call(token=start.token, kind=kind, name=name, arguments=json.dumps(arguments).encode())
        await stream.send(call=call)
        result = await stream.next("result")
        assert result.error.slug not in ("internal", "unavailable"), result
        assert not (await stream.returned(start, "done")).HasField("error")
        await stream.close()

    played(world, scenario)


def test_another_agents_token_says_nothing_on_this_stream(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        stream, other = await opened(peer, key), await opened(peer, api_key(world, "other"))
        await aos.start("job", input={"n": 1})
        start = await stream.next("start")
        stolen = await other.returned(start, "stolen")
        assert stolen.error.slug == "stale-claim"
        assert not (await stream.returned(start, "mine")).HasField("error")
        await asyncio.gather(stream.close(), other.close())

    played(world, scenario)


def test_who_is_no_agent_that_fetches_its_tasks_is_refused(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        for token, code in (
            (None, "UNAUTHENTICATED"),
            (personal_token(world, "operator"), "PERMISSION_DENIED"),
            (api_key(world, "finance"), "ABORTED"),
        ):
            stream = peer.work(token)
            assert (await stream.ended_with()).code.name == code
        for frame in ({"beat": aos_pb2.Beat()}, {"hello": aos_pb2.Hello(protocol=2)}):
            stream = peer.work(key)
            await stream.send(**frame)
            assert (await stream.ended_with()).slug == "invalid-request"

    played(world, scenario)


def test_a_revoked_key_ends_the_stream_at_its_next_message(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        stream = await opened(peer, key)
        revoke(world, "update api_key set revoked_at = aos_now()")
        await aos.running.facts.refresh()
        await stream.send(beat=aos_pb2.Beat())
        refused = await stream.ended_with()
        assert (refused.code, refused.slug) == (grpc.StatusCode.UNAUTHENTICATED, "unauthenticated")

    played(world, scenario)


def test_a_paused_agent_is_given_nothing_until_it_goes_on(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        run_id = await aos.start("job", input={"n": 1})
        await aos.until("select 1 from task where waits_for = 'work'")
        revoke(world, "update agent set status = 'paused' where name = 'clerk'")
        await aos.running.facts.refresh()
        stream = await opened(peer, key)
        await stream.send(beat=aos_pb2.Beat())
        assert aos.tasks(run_id)["work"]["state"] == "waiting"
        revoke(world, "update agent set status = 'running' where name = 'clerk'")
        await aos.running.facts.refresh()
        world.rows("select pg_notify('aos_work', %s)", str(world.agents["clerk"].id))
        await stream.returned(await stream.next("start"))
        assert (await aos.ended(run_id))["state"] == "succeeded"
        await stream.close()

    played(world, scenario)


def test_a_server_that_ends_says_so_and_takes_the_answers_that_still_come(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        stream = await opened(peer, key)
        run_id = await aos.start("job", input={"n": 1})
        start = await stream.next("start")
        stopping = asyncio.create_task(peer.server.stop(10))
        assert (await stream.next("goaway")).reason
        assert not (await stream.returned(start, "in time")).HasField("error")
        await stream.close()
        await stopping
        assert (await aos.ended(run_id))["output"] == "in time"

    played(world, scenario)


def test_an_agent_that_reads_no_answers_is_read_no_further(world: World) -> None:
    many, large = 400, json.dumps({"value": "x" * 100_000}).encode()

    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        stream = await opened(peer, key)
        await aos.start("job", input={"n": 1})
        start = await stream.next("start")

        async def ask() -> None:
            for n in range(many):
                call = aos_pb2.Call(token=start.token, call_id=n, kind="step", name=f"s{n}", arguments=large)
                await stream.send(call=call)

        asking = asyncio.create_task(ask())
        await asyncio.wait([asking], timeout=6)
        assert not asking.done()
        answered = {(await stream.next("result")).call_id for _ in range(many)}
        assert answered == set(range(many))
        await asking
        await stream.returned(start)
        await stream.close()

    played(world, scenario)
