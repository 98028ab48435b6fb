"""The unary calls of gRPC with official clients: decisions, tool calls, runs; health, reflection, errors and deadlines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from aos.data_plane.grpc import aos_pb2
from aos.kernel.ledger.record import parse_record
from aos.kernel.limits import AUTHORIZE_BATCH_MAX, GRPC_MESSAGE_BYTES_MAX
from aos.kernel.money import Money
from aos.kernel.policy.values import Outcome, Rule
from aos.kernel.ports import ToolOutcome
from aos.operations.approvals import Answer
from tests.contract.grpc_peer import SECONDS, SERVICE, Peer, api_key, metadata, one_task, outside, serving
from tests.contract.mcp_peer import ASK, LARGE, NEVER, PAY
from tests.databases import Database
from tests.doors import personal_token
from tests.working import Working, add_workflow, working
from tests.worlds import IDS, World, agent, make_world, payments

Scenario = Callable[[Working, Peer, str], Awaitable[None]]


@pytest.fixture
def world(database: Database) -> World:
    agents = [agent("finance", "payments.create"), agent("other"), outside("clerk")]
    return make_world(database, agents=agents, tools=[payments()], rules=[ASK, NEVER])


def played(world: World, scenario: Scenario, **more: Any) -> None:
    """Run a scenario against a server, with a key of `finance`."""

    async def main() -> None:
        async with working(world, started=False) as aos, serving(aos, **more) as peer:
            await scenario(aos, peer, api_key(world, "finance"))

    asyncio.run(main())


def act(arguments: Any = PAY, name: str = "payments.create", kind: str = "") -> aos_pb2.Act:
    return aos_pb2.Act(kind=kind, name=name, arguments=json.dumps(arguments).encode())


def pay(arguments: Any = PAY, **more: Any) -> aos_pb2.CallToolRequest:
    return aos_pb2.CallToolRequest(name="payments.create", arguments=json.dumps(arguments).encode(), **more)


@pytest.mark.parametrize(
    ("arguments", "outcome", "rules"),
    [
        (PAY, aos_pb2.Outcome.ALLOW, ["permission/finance/payments.create@1"]),
        (LARGE, aos_pb2.Outcome.ESCALATE, ["large-payments@1", "permission/finance/payments.create@1"]),
        ({**PAY, "currency": "USD"}, aos_pb2.Outcome.DENY, ["no-dollars@1", "permission/finance/payments.create@1"]),
    ],
)
def test_authorize_says_what_would_be_decided_and_writes_nothing(
    world: World, arguments: Any, outcome: int, rules: list[str]
) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        decision = await peer.call("Authorize", aos_pb2.AuthorizeRequest(act=act(arguments)), key)
        assert (decision.outcome, sorted(decision.rules)) == (outcome, sorted(rules))
        assert decision.reason
        for table in ("record", "action", "content", "approval"):
            assert aos.rows(f"select 1 from {table}") == []

    played(world, scenario)


def test_a_batch_is_answered_once_the_one_record_that_lists_it_is_committed(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        acts = [act(), act(LARGE), act(name="payments.refund"), act(kind="delegate", name="clerk")]
        answer = await peer.call("AuthorizeBatch", aos_pb2.AuthorizeBatchRequest(acts=acts), key)
        outcomes = [each.outcome for each in answer.decisions]
        kinds = aos_pb2.Outcome
        assert outcomes == [kinds.ALLOW, kinds.ESCALATE, kinds.DENY, kinds.DENY]
        ((row),) = aos.rows("select id, kind, bytes from record")
        assert (str(row["id"]), row["kind"]) == (answer.record_id, "acts.decided")
        record = parse_record(bytes(row["bytes"]))
        assert [(each.act_name, each.decision) for each in record.decisions] == [
            ("payments.create", "allow"), ("payments.create", "escalate"), ("payments.refund", "deny"), ("clerk", "deny")
        ]  # fmt: skip
        assert b"DE89" not in bytes(row["bytes"])
        kept: Any = aos.content(record.args_id)
        assert kept[0] == {"kind": "tool", "name": "payments.create", "arguments": PAY}
        assert aos.rows("select 1 from action") == aos.rows("select 1 from approval") == []
        await aos.check_books()

    played(world, scenario)


def test_a_batch_decided_on_facts_that_changed_is_decided_again(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        request = aos_pb2.AuthorizeBatchRequest(acts=[act()])
        await peer.call("AuthorizeBatch", request, key)
        world.publish(replace(NEVER, id="no-euros", when='args.currency == "EUR"'))
        answer = await peer.call("AuthorizeBatch", request, key)
        assert [each.outcome for each in answer.decisions] == [aos_pb2.Outcome.DENY]

    played(world, scenario)


def test_a_batch_decides_each_act_as_if_it_were_asked_alone(database: Database) -> None:
    """What acts share is read once; what differs by act (origins of sinks, what is left of a budget) is not."""
    sunk = replace(payments(sinks=("iban",)), name="payments.sunk", id=IDS.new())
    rules = [
        ASK,
        Rule("known-sinks", 1, Outcome.DENY, (), ("tool:payments.sunk",), 'origin.iban == "model"', "not by the model"),
        Rule("poor", 1, Outcome.ESCALATE, (), ("tool:payments.create",), "budget.left < 2", "little is left"),
    ]
    agents = [agent("finance", "payments.*")]
    budgets = [("all", "organization", Money(1_000_000_000, "EUR"))]
    world = make_world(database, agents=agents, tools=[payments(), sunk], rules=rules, budgets=budgets)

    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        acts = [
            act(),
            act(name="payments.sunk"),
            act(LARGE),
            act(name="nothing"),
            act(name="payments.sunk"),
            act(kind="run"),
        ]
        alone = [await peer.call("Authorize", aos_pb2.AuthorizeRequest(act=each), key) for each in acts]
        together = await peer.call("AuthorizeBatch", aos_pb2.AuthorizeBatchRequest(acts=acts), key)
        assert list(together.decisions) == alone
        assert {each.outcome for each in alone} == {aos_pb2.Outcome.DENY, aos_pb2.Outcome.ESCALATE}

    played(world, scenario)


def test_decisions_are_refused_where_the_epochs_were_not_read_within_the_last_second(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        await peer.call("Authorize", aos_pb2.AuthorizeRequest(act=act()), key)
        aos.running.facts._read_at -= 2  # type: ignore[operator]
        for name, request in (
            ("Authorize", aos_pb2.AuthorizeRequest(act=act())),
            ("AuthorizeBatch", aos_pb2.AuthorizeBatchRequest(acts=[act()])),
        ):
            refused = await peer.refused(name, request, key)
            assert (refused.code, refused.slug, refused.retry_seconds) == (
                grpc.StatusCode.UNAVAILABLE, "unavailable", 1
            )  # fmt: skip

    played(world, scenario)


def test_a_tool_is_called_once_under_its_key(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        first = await peer.call("CallTool", pay(idempotency_key="k"), key)
        again = await peer.call("CallTool", pay(idempotency_key="k"), key)
        assert (json.loads(first.value), first.replayed, again.replayed) == ("ok", False, True)
        assert first.action_id == again.action_id
        assert len(aos.running.caller.calls) == 1
        mismatch = await peer.refused("CallTool", pay({**PAY, "amount": "1.00"}, idempotency_key="k"), key)
        assert (mismatch.code, mismatch.slug) == (grpc.StatusCode.ABORTED, "idempotency-mismatch")

    played(world, scenario)


def test_a_call_that_waits_for_a_person_names_its_approval_and_is_done_once_after_the_yes(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        waits = await peer.refused("CallTool", pay(LARGE), key)
        assert (waits.code, waits.info["reason"]) == (grpc.StatusCode.FAILED_PRECONDITION, "APPROVAL_PENDING")
        approval_id = waits.info["approval_id"]
        ((row),) = aos.rows("select id from approval")
        assert str(row["id"]) == approval_id
        await aos.answer(row["id"], Answer.APPROVE)
        done = await peer.call("CallTool", pay(LARGE, approval_id=approval_id), key)
        assert json.loads(done.value) == "ok"
        assert len(aos.running.caller.calls) == 1

    played(world, scenario)


def test_a_refusal_carries_the_problem_with_its_reasons(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        refused = await peer.refused("CallTool", pay({**PAY, "currency": "USD"}), key)
        assert (refused.code, refused.slug) == (grpc.StatusCode.PERMISSION_DENIED, "denied")
        assert any("no-dollars" in reason for reason in json.loads(refused.info["reasons"]))
        ((row),) = aos.rows("select id from action where state = 'refused'")
        assert refused.info["action_id"] == str(row["id"])
        aos.running.caller.answer = lambda tool, arguments: ToolOutcome(ok=False, error="the bank is closed")
        failed = await peer.refused("CallTool", pay(), key)
        assert (failed.code, failed.slug, failed.message) == (
            grpc.StatusCode.UNKNOWN, "tool-failed", "the bank is closed"
        )  # fmt: skip

    played(world, scenario)


BAD: tuple[tuple[str, Any, str, list[str]], ...] = (
    ("CallTool", pay().__class__(name="a b"), "INVALID_ARGUMENT", ["/name"]),
    ("CallTool", aos_pb2.CallToolRequest(name="x", arguments=b"[1]"), "INVALID_ARGUMENT", ["/arguments"]),
    ("CallTool", aos_pb2.CallToolRequest(name="x", arguments=b'{"a":'), "INVALID_ARGUMENT", ["/arguments"]),
    ("CallTool", aos_pb2.CallToolRequest(name="x", arguments=b'{"a":"\xff"}'), "INVALID_ARGUMENT", ["/arguments"]),
    (
        "CallTool",
        aos_pb2.CallToolRequest(name="x", arguments=b'{"a":' + b"[" * 40 + b"]" * 40 + b"}"),
        "INVALID_ARGUMENT",
        ["/arguments"],
    ),
    ("CallTool", pay(idempotency_key="k" * 201), "INVALID_ARGUMENT", ["/idempotency_key"]),
    ("CallTool", pay(approval_id="yes"), "INVALID_ARGUMENT", ["/approval_id"]),
    ("CallTool", aos_pb2.CallToolRequest(name="x", arguments=b" " * 1_000_001), "RESOURCE_EXHAUSTED", []),
    ("Authorize", aos_pb2.AuthorizeRequest(act=act(kind="wish")), "INVALID_ARGUMENT", ["/act/kind"]),
    ("AuthorizeBatch", aos_pb2.AuthorizeBatchRequest(), "INVALID_ARGUMENT", []),
    (
        "AuthorizeBatch",
        aos_pb2.AuthorizeBatchRequest(acts=[act()] * (AUTHORIZE_BATCH_MAX + 1)),
        "RESOURCE_EXHAUSTED",
        [],
    ),
    ("AuthorizeBatch", aos_pb2.AuthorizeBatchRequest(acts=[act(), act(name="")]), "INVALID_ARGUMENT", ["/acts/1/name"]),
    ("StartRun", aos_pb2.StartRunRequest(), "INVALID_ARGUMENT", ["/workflow"]),
    ("StartRun", aos_pb2.StartRunRequest(workflow="nothing"), "NOT_FOUND", []),
    ("StartRun", aos_pb2.StartRunRequest(workflow="x", input=b"{"), "INVALID_ARGUMENT", ["/input"]),
    ("StartRun", aos_pb2.StartRunRequest(agent="finance", thread="a\0"), "INVALID_ARGUMENT", []),
    ("StartRun", aos_pb2.StartRunRequest(agent="finance", labels={"a": "\0"}), "INVALID_ARGUMENT", []),
    ("StartRun", aos_pb2.StartRunRequest(agent="finance", thread="t" * 401), "RESOURCE_EXHAUSTED", []),
)


def test_bad_input_is_refused_with_its_field_and_writes_nothing(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        for name, request, code, fields in BAD:
            refused = await peer.refused(name, request, key)
            assert (name, refused.code.name, refused.fields) == (name, code, fields)
        assert aos.rows("select 1 from record") == []

    played(world, scenario)


def test_a_message_over_the_limit_is_refused_before_it_is_read_and_disturbs_no_other_call(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        large = aos_pb2.CallToolRequest(name="x", arguments=b" " * GRPC_MESSAGE_BYTES_MAX)
        refused, done = await asyncio.gather(peer.refused("CallTool", large, key), peer.call("CallTool", pay(), key))
        assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert json.loads(done.value) == "ok"

    played(world, scenario)


def test_who_shows_no_credential_that_counts_is_unauthenticated(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        for token in (None, "aos_unknown", "aost_" + "A" * 108, "nonsense"):
            for name, request in (
                ("Authorize", aos_pb2.AuthorizeRequest(act=act())),
                ("CallTool", pay()),
                ("StartRun", aos_pb2.StartRunRequest(agent="clerk")),
            ):
                refused = await peer.refused(name, request, token)
                assert (refused.code, refused.slug) == (grpc.StatusCode.UNAUTHENTICATED, "unauthenticated")

    played(world, scenario)


def test_an_api_key_counts_as_x_api_key_too(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        done = await peer.call("CallTool", pay(), None, x_api_key=key)
        assert json.loads(done.value) == "ok"

    played(world, scenario)


def test_a_deadline_ends_the_call_and_its_outcome_is_recorded_all_the_same(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        aos.running.caller.hold = asyncio.Event()
        refused = await peer.refused("CallTool", pay(idempotency_key="k"), key, timeout=0.3)
        assert refused.code is grpc.StatusCode.DEADLINE_EXCEEDED
        aos.running.caller.hold.set()
        await aos.until("select 1 from action where state = 'performed'")
        again = await peer.call("CallTool", pay(idempotency_key="k"), key)
        assert again.replayed
        assert len(aos.running.caller.calls) == 1

    played(world, scenario)


def test_a_run_starts_once_under_its_key_and_its_words_are_no_persons(world: World) -> None:
    add_workflow(world, one_task("clerk"))
    world.publish(Rule("runs", 1, Outcome.ALLOW, ("finance",), ("run:job",)))

    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        request = aos_pb2.StartRunRequest(
            workflow="job", input=b'{"iban": "DE89370400440532013000"}', goal="pay", labels={"month": "1"},
            idempotency_key="k", thread="maria",
        )  # fmt: skip
        first, again = [await peer.call("StartRun", request, key) for _ in range(2)]
        assert (first.run_id, first.replayed) == (again.run_id, False)
        assert again.replayed
        ((run),) = aos.rows("select id, labels, thread from run")
        assert run["thread"] == "finance:maria", "no agent reads on in a person's thread by knowing its name"
        assert (str(run["id"]), run["labels"]) == (first.run_id, {"month": "1"})
        assert {row["origin"] for row in aos.rows("select origin from origin_token")} == {"untrusted"}
        person = await peer.call("StartRun", aos_pb2.StartRunRequest(agent="clerk"), personal_token(world, "operator"))
        assert person.run_id != first.run_id
        denied = await peer.refused("StartRun", aos_pb2.StartRunRequest(agent="clerk"), key)
        assert (denied.code, denied.slug) == (grpc.StatusCode.PERMISSION_DENIED, "denied")

    played(world, scenario)


def test_health_says_serving_until_the_server_ends(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        stub: Any = health_pb2_grpc.HealthStub(peer.channel)
        for service in ("", "aos.v1.Aos"):
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        watch = stub.Watch(health_pb2.HealthCheckRequest(service="aos.v1.Aos"))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        stopping = asyncio.create_task(peer.server.stop(5))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()
        await stopping

    played(world, scenario)


def test_reflection_gives_a_client_all_that_it_needs_to_call(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(peer.channel)  # type: ignore[arg-type]
        asked = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol="aos.v1.Aos"),
        ]
        listed, files = [each async for each in stub.ServerReflectionInfo(iter(asked))]
        names = [each.name for each in listed.list_services_response.service]
        assert "aos.v1.Aos" in names
        assert "grpc.health.v1.Health" in names
        pool = DescriptorPool()
        for content in files.file_descriptor_response.file_descriptor_proto:
            pool.AddSerializedFile(content)
        methods: Any = pool.FindServiceByName("aos.v1.Aos").methods_by_name
        assert sorted(methods) == ["Authorize", "AuthorizeBatch", "CallTool", "Complete", "StartRun", "Work"]
        assert methods["Work"].client_streaming
        assert methods["Work"].server_streaming

    played(world, scenario)


@pytest.mark.parametrize("name", ["CallTool", "AuthorizeBatch", "Complete", "Work"])
def test_bytes_that_are_no_message_end_their_call_alone(world: World, name: str) -> None:
    """A field that says to be longer than what came (protobuf, "Length-Delimited Records")."""
    garbage = b"\x0a\x7f?"

    async def sent(peer: Peer, key: str) -> None:
        channel: Any = peer.channel
        given: Any = {"metadata": metadata(key), "timeout": SECONDS}
        match name:
            case "Complete":
                await channel.unary_stream(SERVICE + name)(garbage, **given).read()
            case "Work":
                stream = channel.stream_stream(SERVICE + name)(**given)
                await stream.write(garbage)
                await stream.read()
            case _:
                await channel.unary_unary(SERVICE + name)(garbage, **given)

    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await sent(peer, api_key(world, "clerk"))
        assert raised.value.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
        assert json.loads((await peer.call("CallTool", pay(), key)).value) == "ok"

    played(world, scenario)


def test_an_unknown_call_is_unimplemented(world: World) -> None:
    async def scenario(aos: Working, peer: Peer, key: str) -> None:
        call: Any = peer.channel.unary_unary("/aos.v1.Aos/Destroy")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call(b"", metadata=metadata(key))
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED

    played(world, scenario)


def test_the_next_call_may_go_to_another_process(world: World) -> None:
    """Two processes on one database: what the first one recorded under a key is given again by the second."""

    async def main() -> None:
        key = api_key(world, "finance")
        async with working(world, started=False) as one, working(world, started=False) as two, serving(two) as second:
            async with serving(one) as first:
                done = await first.call("CallTool", pay(idempotency_key="k"), key)
            again = await second.call("CallTool", pay(idempotency_key="k"), key)
            assert (again.action_id, again.replayed) == (done.action_id, True)
            assert len(one.running.caller.calls) + len(two.running.caller.calls) == 1

    asyncio.run(main())
