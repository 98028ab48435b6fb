"""A call that waits for a person, as MCP clients see it: the page to open, the answer, and the one time it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError, UrlElicitationRequiredError
from mcp_types import CallToolResult, ElicitResult, InputRequiredResult

from aos.operations.approvals import Answer
from tests.contract.mcp_peer import (
    ASK,
    HANDSHAKE,
    LARGE,
    STATELESS,
    answer,
    call,
    connected,
    fault,
    message,
    send,
    speak,
    text_of,
)
from tests.databases import Database
from tests.doors import Door, open_door
from tests.worlds import World, agent, make_world, payments

BOTH = pytest.mark.parametrize("revision", [STATELESS, HANDSHAKE])


@pytest.fixture
def world(database: Database) -> World:
    return make_world(
        database,
        agents=[agent("finance", "payments.create"), agent("other", "payments.create")],
        tools=[payments()],
        rules=[ASK],
    )


@pytest.fixture
def door(world: World) -> Iterator[Door]:
    with open_door(world, listens=True) as opened:
        yield opened


@pytest.fixture
def key(door: Door) -> str:
    return door.api_key("finance")


async def never(context: Any, params: Any) -> ElicitResult:
    raise AssertionError("nobody is asked here")


def approvals(door: Door) -> list[tuple[str, str]]:
    return [(str(ident), status) for ident, status in door.world.rows("select id, status from approval order by id")]


def test_a_client_that_can_open_pages_is_given_the_approvals_page_and_the_call_is_done_after_the_yes(
    door: Door, key: str
) -> None:
    asked: list[Any] = []

    async def person(context: Any, params: Any) -> ElicitResult:
        asked.append(params)
        await asyncio.to_thread(answer, door, params.url.rpartition("/")[2], Answer.APPROVE)
        return ElicitResult(action="accept")

    done = call(door, key, STATELESS, "payments_create", LARGE, elicitation_callback=person)
    assert (done.is_error, text_of(done)) == (False, "ok")
    ((approval, status),) = approvals(door)
    assert status == "used"
    (params,) = asked
    assert (params.mode, params.url) == ("url", f"{door.url}/console/approvals/{approval}")
    assert params.message == "`payments.create` waits for a person: payment of 5000.00 EUR is over the limit"
    assert len(door.caller.calls) == 1


def test_a_call_repeated_before_the_yes_waits_for_it(door: Door, key: str) -> None:
    """The person accepted to look at the page; the approval is given a moment after the call was repeated."""
    later: list[asyncio.Task[None]] = []

    async def person(context: Any, params: Any) -> ElicitResult:
        approval = params.url.rpartition("/")[2]
        later.append(asyncio.create_task(_when_asked_twice(door, approval)))
        return ElicitResult(action="accept")

    done = call(door, key, STATELESS, "payments_create", LARGE, elicitation_callback=person)
    assert text_of(done) == "ok"
    assert len(later) == len(door.caller.calls) == 1


async def _when_asked_twice(door: Door, approval: str) -> None:
    """Approve once the repeated call listens for the answer."""
    waiters = door.services.bell._waiters
    while ("aos_approval", approval) not in waiters:
        await asyncio.sleep(0)
    await asyncio.to_thread(answer, door, approval, Answer.APPROVE)


def test_who_declines_to_look_is_told_that_it_waits_and_nothing_is_done(door: Door, key: str) -> None:
    async def person(context: Any, params: Any) -> ElicitResult:
        return ElicitResult(action="decline")

    done = call(door, key, STATELESS, "payments_create", LARGE, elicitation_callback=person)
    assert done.is_error
    assert done.structured_content["type"] == "urn:aos:problem:approval-pending"
    assert [status for _, status in approvals(door)] == ["pending"]
    assert door.caller.calls == []


def test_a_no_is_told_with_its_comment(door: Door, key: str) -> None:
    async def person(context: Any, params: Any) -> ElicitResult:
        await asyncio.to_thread(answer, door, params.url.rpartition("/")[2], Answer.DENY, "pay it in March")
        return ElicitResult(action="accept")

    done = call(door, key, STATELESS, "payments_create", LARGE, elicitation_callback=person)
    assert done.is_error
    assert "pay it in March" in text_of(done)
    assert door.caller.calls == []


def test_the_2025_client_is_given_the_page_as_an_error_and_repeats_the_call(door: Door, key: str) -> None:
    async def work(client: Client) -> CallToolResult:
        with pytest.raises(MCPError) as raised:
            await client.call_tool("payments_create", LARGE)
        (asked,) = UrlElicitationRequiredError.from_error(raised.value.error).elicitations
        ((approval, _),) = approvals(door)
        assert (asked.elicitation_id, asked.url) == (approval, f"{door.url}/console/approvals/{approval}")
        with pytest.raises(MCPError, match="waits for a person"):
            await client.call_tool("payments_create", LARGE)  # too early: the same approval, not another
        await asyncio.to_thread(answer, door, approval, Answer.APPROVE)
        return await client.call_tool("payments_create", LARGE)

    done = speak(door, key, HANDSHAKE, work, elicitation_callback=never)
    assert (done.is_error, text_of(done)) == (False, "ok")
    assert [status for _, status in approvals(door)] == ["used"]
    assert len(door.caller.calls) == 1


@BOTH
def test_a_client_that_can_open_nothing_is_told_to_make_the_same_call_again(
    door: Door, key: str, revision: str
) -> None:
    async def work(client: Client) -> list[CallToolResult]:
        first = await client.call_tool("payments_create", LARGE)
        again = await client.call_tool("payments_create", LARGE)
        await asyncio.to_thread(answer, door, first.structured_content["approval_id"], Answer.APPROVE)
        return [first, again, await client.call_tool("payments_create", LARGE)]

    first, again, done = speak(door, key, revision, work)
    assert first.is_error
    assert "make the very same call again" in text_of(first)
    assert first.structured_content["approval_id"] == again.structured_content["approval_id"]
    assert (done.is_error, text_of(done)) == (False, "ok")
    assert len(door.caller.calls) == 1


@BOTH
def test_after_it_was_done_the_same_call_is_a_new_act_that_asks_anew(door: Door, key: str, revision: str) -> None:
    first = call(door, key, revision, "payments_create", LARGE)
    answer(door, first.structured_content["approval_id"], Answer.APPROVE)
    assert not call(door, key, revision, "payments_create", LARGE).is_error
    third = call(door, key, revision, "payments_create", LARGE)
    assert third.structured_content["approval_id"] != first.structured_content["approval_id"]
    assert [status for _, status in approvals(door)] == ["used", "pending"]


@BOTH
def test_a_no_stands_for_the_same_call_until_it_expires(door: Door, key: str, revision: str) -> None:
    first = call(door, key, revision, "payments_create", LARGE)
    answer(door, first.structured_content["approval_id"], Answer.DENY, "pay it in March")
    again = call(door, key, revision, "payments_create", LARGE)
    assert "pay it in March" in text_of(again)
    door.world.rows("update approval set expires_at = aos_now()")
    anew = call(door, key, revision, "payments_create", LARGE)
    assert anew.structured_content["type"] == "urn:aos:problem:approval-pending"
    assert [status for _, status in approvals(door)] == ["denied", "pending"]


@BOTH
def test_the_yes_is_for_this_agent_and_these_arguments_alone(door: Door, key: str, revision: str) -> None:
    first = call(door, key, revision, "payments_create", LARGE)
    answer(door, first.structured_content["approval_id"], Answer.APPROVE)
    other = call(door, door.api_key("other"), revision, "payments_create", LARGE)
    assert not other.is_error  # the rule is about `finance`: allowed by itself, the approval untouched
    changed = call(door, key, revision, "payments_create", {**LARGE, "amount": "5000.01"})
    assert changed.structured_content["type"] == "urn:aos:problem:approval-pending"
    assert [status for _, status in approvals(door)] == ["approved", "pending"]


def test_another_agents_state_leads_nowhere(door: Door, key: str) -> None:
    first = call(door, key, STATELESS, "payments_create", LARGE)
    approval = first.structured_content["approval_id"]
    answer(door, approval, Answer.APPROVE)
    params = {"name": "payments_create", "arguments": LARGE, "requestState": approval}
    taken = send(door, door.api_key("other"), message("tools/call", params, revision=STATELESS), revision=STATELESS)
    assert taken.json()["result"]["structuredContent"]["type"] == "urn:aos:problem:not-found"
    assert door.caller.calls == []
    assert [status for _, status in approvals(door)] == ["approved"]


def test_a_state_that_is_none_is_refused(door: Door, key: str) -> None:
    params = {"name": "payments_create", "arguments": LARGE, "requestState": "made up"}
    refused = send(door, key, message("tools/call", params, revision=STATELESS), revision=STATELESS)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, -32602)
    assert approvals(door) == []


def test_an_approval_that_is_named_in_the_meta_counts(door: Door, key: str) -> None:
    async def work(client: Client) -> CallToolResult:
        meta: Any = {"aos/idempotency-key": "k1"}
        first = await client.call_tool("payments_create", LARGE, meta=meta)
        approval = first.structured_content["approval_id"]
        await asyncio.to_thread(answer, door, approval, Answer.APPROVE)
        return await client.call_tool("payments_create", LARGE, meta={"aos/approval-id": approval})  # type: ignore[arg-type]

    assert text_of(speak(door, key, STATELESS, work)) == "ok"
    assert len(door.caller.calls) == 1


def test_the_yes_is_taken_up_by_whichever_process_the_call_comes_to(world: World, door: Door, key: str) -> None:
    async def person(context: Any, params: Any) -> ElicitResult:
        await asyncio.to_thread(answer, door, params.url.rpartition("/")[2], Answer.APPROVE)
        return ElicitResult(action="accept")

    with open_door(world) as other:

        async def work() -> Any:
            ports = (door.port, other.port)
            async with connected(door, key, STATELESS, elicitation_callback=person, ports=ports) as client:
                first = await client.session.call_tool("payments_create", LARGE, allow_input_required=True)
                assert isinstance(first, InputRequiredResult)
                await asyncio.to_thread(answer, door, str(first.request_state), Answer.APPROVE)
                return await client.session.call_tool("payments_create", LARGE, request_state=first.request_state)

        done = asyncio.run(work())
        assert text_of(done) == "ok"
        assert len(door.caller.calls) + len(other.caller.calls) == 1


def test_a_call_repeated_without_an_answer_says_at_once_that_it_waits(door: Door, key: str) -> None:
    async def work(client: Client) -> InputRequiredResult:
        first = await client.session.call_tool("payments_create", LARGE, allow_input_required=True)
        assert isinstance(first, InputRequiredResult)
        again = await client.session.call_tool(
            "payments_create", LARGE, request_state=first.request_state, allow_input_required=True
        )
        assert isinstance(again, InputRequiredResult)
        assert again.request_state == first.request_state
        return again

    speak(door, key, STATELESS, work, elicitation_callback=never)
    assert [status for _, status in approvals(door)] == ["pending"]


def test_an_unapproved_fault_names_the_approval_for_programs_too(door: Door, key: str) -> None:
    error = fault(
        door, key, HANDSHAKE, lambda client: client.call_tool("payments_create", LARGE), elicitation_callback=never
    )
    assert error.code == -32042
    assert error.data["approval_id"] == approvals(door)[0][0]
