"""What the tool door answers: each outcome of the gate in its own form, over real HTTP."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from uuid import UUID

import pytest

from aos.kernel.acts import Permit
from aos.kernel.money import Money
from aos.kernel.people import Actor, Role
from aos.kernel.policy.values import Approvers, Outcome, Rule
from aos.kernel.ports import ToolOutcome
from aos.operations.approvals import Answer, Approvals
from tests.databases import Database
from tests.doors import Door, open_door, until
from tests.worlds import Caller, World, agent, make_world, payments, tool

PAY = {"iban": "DE89370400440532013000", "amount": "12.50", "currency": "EUR"}
LARGE = {**PAY, "amount": "5000.00"}
ASK = Rule(
    "large-payments", 1, Outcome.ESCALATE, ("finance",), ("tool:payments.create",), "args.amount > 1000",
    "payment of {args.amount} {args.currency} is over the limit", approvers=Approvers(),
)  # fmt: skip
NEVER = Rule("no-dollars", 1, Outcome.DENY, (), ("tool:payments.create",), 'args.currency == "USD"', "no dollars")


@pytest.fixture
def world(database: Database) -> World:
    return make_world(
        database,
        agents=[agent("finance", "payments.create", "erp.*"), agent("guest")],
        tools=[payments(), tool("erp.read"), tool("erp.write_once")],
        rules=[ASK, NEVER],
        budgets=[("company", "organization", Money(5_000_000, "EUR"))],
    )


@pytest.fixture
def door(world: World) -> Iterator[Door]:
    with open_door(world) as opened:
        yield opened


@pytest.fixture
def key(door: Door) -> str:
    return door.api_key("finance")


def answer(door: Door, approval: str, said: Answer, comment: str = "") -> None:
    """Answer an approval as a person does."""
    actor = Actor(
        door.world.organization_id, door.world.person_id, "maria@larkspur.example", frozenset({Role.APPROVER})
    )
    does = Approvals(door.running.database, door.running.facts, door.running.drivers)
    door.run(does.answer_approval(actor, UUID(approval), answer=said, comment=comment))


def test_a_call_that_is_allowed_is_answered_with_the_tools_value(door: Door, key: str) -> None:
    done = door.call("payments.create", PAY, token=key)
    assert done.status_code == 200
    assert done.headers["content-type"] == "application/json"
    document = done.json()
    assert set(document) == {"action_id", "state", "value"}
    assert (document["state"], document["value"]) == ("performed", "ok")
    assert door.world.rows("select id::text, state from action") == [(document["action_id"], "performed")]
    assert "idempotency-replayed" not in done.headers


def test_a_denied_call_names_the_rule_and_its_reason(door: Door, key: str) -> None:
    done = door.call("payments.create", {**PAY, "currency": "USD"}, token=key)
    assert done.status_code == 403
    assert done.headers["content-type"] == "application/problem+json"
    document = done.json()
    assert document["type"] == "urn:aos:problem:denied"
    assert (document["status"], document["detail"]) == (403, "no dollars")
    assert document["reasons"] == ["no-dollars: no dollars"]
    assert document["instance"] == "/tools/payments.create/call"
    assert door.world.rows("select id::text, state from action") == [(document["action_id"], "refused")]
    assert door.caller.calls == []


def test_what_no_rule_allows_is_denied_and_recorded(door: Door) -> None:
    done = door.call("payments.create", PAY, token=door.api_key("guest"))
    assert done.status_code == 403
    assert "no rule allows `tool:payments.create`" in done.json()["detail"]
    assert door.world.rows("select kind from record") == [("act.refused",)]


def test_an_unknown_tool_is_denied_and_recorded(door: Door, key: str) -> None:
    done = door.call("payments.unknown", token=key)
    assert done.status_code == 403
    assert "there is no tool `payments.unknown`" in done.json()["detail"]
    assert door.world.states() == [("payments.unknown", "refused")]


@pytest.mark.parametrize("by", ["approval_id", "key"])
def test_an_escalated_call_waits_and_is_done_once_after_the_yes(door: Door, key: str, by: str) -> None:
    again = {"key": "k1"} if by == "key" else {}
    first = door.call("payments.create", LARGE, token=key, **again)
    assert first.status_code == 202
    waiting = first.json()
    assert set(waiting) == {"action_id", "approval_id", "reason", "state"}
    assert waiting["state"] == "waiting"
    assert first.headers["location"] == f"/approvals/{waiting['approval_id']}"
    assert waiting["reason"] == "payment of 5000.00 EUR is over the limit"
    if by == "approval_id":
        again = {"approval_id": waiting["approval_id"]}
    still = door.call("payments.create", LARGE, token=key, **again)
    assert (still.status_code, still.json()["approval_id"]) == (202, waiting["approval_id"])
    answer(door, waiting["approval_id"], Answer.APPROVE)
    done = door.call("payments.create", LARGE, token=key, **again)
    assert (done.status_code, done.json()["action_id"]) == (200, waiting["action_id"])
    replayed = door.call("payments.create", LARGE, token=key, **again)
    assert (replayed.status_code, replayed.json()) == (200, done.json())
    assert replayed.headers["idempotency-replayed"] == "true"
    assert len(door.caller.calls) == 1
    assert door.world.rows("select status from approval") == [("used",)]


def test_a_person_who_says_no_is_heard_by_the_agent(door: Door, key: str) -> None:
    waiting = door.call("payments.create", LARGE, token=key, key="k1").json()
    answer(door, waiting["approval_id"], Answer.DENY, "pay it in March")
    for again in ({"key": "k1"}, {"approval_id": waiting["approval_id"]}):
        refused = door.call("payments.create", LARGE, token=key, **again)
        assert refused.status_code == 403, again
        assert "pay it in March" in refused.json()["detail"], again
    assert door.caller.calls == []


def test_an_approval_is_for_the_very_act_it_was_given_for(door: Door, key: str) -> None:
    approval = door.call("payments.create", LARGE, token=key).json()["approval_id"]
    answer(door, approval, Answer.APPROVE)
    other = door.call("payments.create", {**LARGE, "amount": "5000.01"}, token=key, approval_id=approval)
    assert (other.status_code, other.json()["type"]) == (409, "urn:aos:problem:conflict")
    assert door.caller.calls == []


def test_a_spent_budget_is_402_and_calls_nothing(door: Door, key: str) -> None:
    assert [door.call("payments.create", PAY, token=key).status_code for _ in range(3)] == [200, 200, 402]
    done = door.call("payments.create", PAY, token=key)
    assert done.json()["type"] == "urn:aos:problem:budget-spent"
    assert "company" in done.json()["detail"]
    assert len(door.caller.calls) == 2


@pytest.mark.parametrize(
    ("outcome", "status", "slug"),
    [
        (ToolOutcome(ok=False, error="the bank is closed"), 502, "tool-failed"),
        (ToolOutcome(ok=False, error="connection lost", unknown=True), 409, "outcome-unknown"),
    ],
)
def test_a_tool_that_fails_or_falls_silent_is_told_apart(
    world: World, outcome: ToolOutcome, status: int, slug: str
) -> None:
    with open_door(world, Caller(lambda tool, arguments: outcome)) as door:
        done = door.call("payments.create", PAY, token=door.api_key("finance"))
    assert (done.status_code, done.json()["type"]) == (status, f"urn:aos:problem:{slug}")
    assert done.json()["detail"] == outcome.error
    assert done.json()["action_id"]


def test_a_key_replays_the_answer_and_refuses_another_act(door: Door, key: str) -> None:
    first = door.call("payments.create", PAY, token=key, key="k")
    again = door.call("payments.create", PAY, token=key, key="k")
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    other = door.call("payments.create", {**PAY, "amount": "13.00"}, token=key, key="k")
    assert (other.status_code, other.json()["type"]) == (422, "urn:aos:problem:idempotency-mismatch")
    assert len(door.caller.calls) == 1


def test_two_agents_may_use_the_same_key(door: Door, key: str) -> None:
    assert door.call("payments.create", PAY, token=key, key="k").status_code == 200
    assert door.call("payments.create", PAY, token=door.api_key("guest"), key="k").status_code == 403


def test_a_call_under_way_is_409_for_the_same_key(world: World) -> None:
    caller = Caller()
    with open_door(world, caller) as door:
        key = door.api_key("finance")
        caller.hold = door.run(_made(asyncio.Event))
        with door.connect() as first:
            first.sendall(request(key, PAY, "idempotency-key: k"))
            until(lambda: bool(caller.calls))
            busy = door.call("payments.create", PAY, token=key, key="k")
            door.loop.call_soon_threadsafe(caller.hold.set)
            assert first.recv(65536).startswith(b"HTTP/1.1 200")
    assert (busy.status_code, busy.json()["type"]) == (409, "urn:aos:problem:still-running")
    assert busy.headers["retry-after"] == "1"


def test_a_client_that_goes_away_in_the_middle_is_still_recorded_and_charged(world: World) -> None:
    caller = Caller()
    with open_door(world, caller) as door:
        caller.hold = door.run(_made(asyncio.Event))
        with door.connect() as connection:
            connection.sendall(request(door.api_key("finance"), PAY))
            until(lambda: bool(caller.calls))
        door.loop.call_soon_threadsafe(caller.hold.set)
    assert world.states() == [("payments.create", "performed")]
    assert world.rows("select kind, cost_nanos from usage_event") == [("tool_call", 2_000_000)]
    assert world.rows("select held_nanos, settled_nanos from budget_account") == [(0, 2_000_000)]


def test_one_connection_carries_many_calls_in_order(door: Door, key: str) -> None:
    with door.connect() as connection:
        stream = connection.makefile("rb")
        for _ in range(3):
            connection.sendall(request(key, {}, tool="erp.read"))
            assert stream.readline() == b"HTTP/1.1 200 OK\r\n"
            length = 0
            while (line := stream.readline()) != b"\r\n":
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            assert json.loads(stream.read(length))["state"] == "performed"


def test_calls_sent_ahead_are_answered_in_their_order(door: Door, key: str) -> None:
    tools = ["erp.read", "erp.unknown", "erp.write_once"]
    answers = door.raw(
        *(request(key, {}, tool=each) for each in tools[:-1]),
        request(key, {}, "connection: close", tool=tools[-1]),
    )
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200", b"403", b"200"]
    assert [name for name, _ in door.world.states()] == tools


def test_a_key_may_be_sent_as_x_api_key(door: Door, key: str) -> None:
    done = door.client.post("/tools/erp.read/call", json={}, headers={"x-api-key": key})
    assert done.status_code == 200


def request(key: str, arguments: object, *headers: str, tool: str = "payments.create") -> bytes:
    """Return the bytes of one call."""
    body = json.dumps({"arguments": arguments})
    lines = [
        f"POST /tools/{tool}/call HTTP/1.1", "host: aos", f"authorization: Bearer {key}",
        "content-type: application/json", f"content-length: {len(body)}", *headers,
    ]  # fmt: skip
    return "\r\n".join([*lines, "", body]).encode()


async def _made(kind: type[asyncio.Event]) -> asyncio.Event:
    return kind()


def test_a_tool_at_its_limit_is_a_429_that_says_when_to_ask_again(database: Database) -> None:
    limited = tool("erp.render", concurrency=1)
    world = make_world(database, agents=[agent("finance", "erp.*")], tools=[limited])
    with open_door(world) as door:
        key = door.api_key("finance")
        permit = door.run(door.running.gate.admit(world.act("finance", "erp.render")))
        assert isinstance(permit, Permit)
        refused = door.call("erp.render", token=key, key="k1")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert refused.json()["type"] == "urn:aos:problem:rate-limited"
        assert refused.json()["retry_after_seconds"] == 1
        door.run(door.running.gate.conclude(permit, ToolOutcome(ok=True, value="done")))
        assert door.call("erp.render", token=key, key="k1").status_code == 200
        assert len(door.caller.calls) == 1
