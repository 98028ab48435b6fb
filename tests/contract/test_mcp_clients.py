"""The official MCP client at `/mcp`, in both eras of the protocol: what it lists, calls, is refused and waits for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from mcp import Client
from mcp_types import ListToolsResult

from aos.kernel.agents import AgentType
from aos.kernel.json import Json
from aos.kernel.money import Money
from aos.kernel.policy.values import Outcome, Rule
from aos.kernel.ports import ToolOutcome
from aos.kernel.tools import Effect
from tests.contract.mcp_peer import ASK, HANDSHAKE, NEVER, PAY, STATELESS, call, fault, speak, text_of
from tests.databases import Database
from tests.doors import Door, open_door
from tests.worlds import Caller, World, agent, make_world, payments, tool

BOTH = pytest.mark.parametrize("revision", [STATELESS, HANDSHAKE])
FORM: Json = {
    "type": "object",
    "properties": {"to": {"type": "string"}, "key": {"type": "string"}},
    "required": ["to", "key"],
}
CLOSED = Rule("closed", 1, Outcome.DENY, (), ("tool:erp.closed",), "", "nobody may")


@pytest.fixture
def world(database: Database) -> World:
    return make_world(
        database,
        agents=[
            agent("finance", "payments.create", "erp.*", "mail.*"),
            agent("auditor", "*", type=AgentType.OBSERVER),
            agent("guest"),
        ],
        tools=[
            payments(description="Pay an invoice"),
            tool("erp.read"),
            tool("erp.write_once", effect=Effect.WRITE),
            tool("erp.closed"),
            tool("mail.send", effect=Effect.SEND, schema=FORM, fixed={"key": "secret"}),
            tool("admin.wipe", effect=Effect.DELETE),
        ],
        rules=[ASK, NEVER, CLOSED],
        budgets=[("company", "organization", Money(5_000_000, "EUR"))],
    )


@pytest.fixture
def door(world: World) -> Iterator[Door]:
    with open_door(world) as opened:
        yield opened


@pytest.fixture
def key(door: Door) -> str:
    return door.api_key("finance")


async def listed(client: Client) -> ListToolsResult:
    return await client.list_tools()


@BOTH
def test_an_agent_is_shown_the_tools_it_may_call_and_no_others(door: Door, revision: str) -> None:
    names = {
        name: [each.name for each in speak(door, door.api_key(name), revision, listed).tools]
        for name in ("finance", "auditor", "guest")
    }
    assert names == {
        "finance": ["erp_read", "erp_write_once", "mail_send", "payments_create"],
        "auditor": ["erp_read"],
        "guest": [],
    }
    assert door.written() == dict.fromkeys(door.written(), 0) | {"budget_account": door.written()["budget_account"]}


@BOTH
def test_a_tool_is_shown_with_what_it_does_and_what_a_caller_gives(door: Door, key: str, revision: str) -> None:
    tools = {each.name: each for each in speak(door, key, revision, listed).tools}
    pays = tools["payments_create"]
    assert (pays.title, pays.description) == ("payments.create", "Pay an invoice")
    assert pays.input_schema == door.world.tools["payments.create"].schema
    assert pays.annotations is not None
    assert (pays.annotations.read_only_hint, pays.annotations.destructive_hint) == (False, True)
    reads = tools["erp_read"].annotations
    assert reads is not None
    assert (reads.read_only_hint, reads.idempotent_hint) == (True, True)
    assert tools["mail_send"].input_schema == {
        "type": "object",
        "properties": {"to": {"type": "string"}},
        "required": ["to"],
    }


@BOTH
@pytest.mark.parametrize("name", ["payments_create", "payments.create"])
def test_a_call_goes_through_the_gate_under_either_name(door: Door, key: str, revision: str, name: str) -> None:
    done = call(door, key, revision, name, PAY)
    assert (done.is_error, text_of(done), done.structured_content) == (False, "ok", {"value": "ok"})
    assert done.meta is not None
    assert door.world.rows("select id::text, name, state from action") == [
        (done.meta["aos/action-id"], "payments.create", "performed")
    ]
    assert [(tool, arguments) for tool, arguments, _ in door.caller.calls] == [("payments.create", PAY)]


@BOTH
@pytest.mark.parametrize(
    ("value", "text", "structured"),
    [
        ({"paid": True}, '{"paid":true}', {"paid": True}),
        ([1, "a"], '[1,"a"]', {"value": [1, "a"]}),
        (None, "null", {"value": None}),
        ("grüße", "grüße", {"value": "grüße"}),
    ],
)
def test_a_value_is_answered_as_text_and_as_json(
    world: World, revision: str, value: object, text: str, structured: object
) -> None:
    with open_door(world, Caller(lambda tool, arguments: ToolOutcome(ok=True, value=value))) as door:  # type: ignore[arg-type]
        done = call(door, door.api_key("finance"), revision, "erp_read")
    assert (text_of(done), done.structured_content) == (text, structured)


@BOTH
def test_a_denied_call_tells_the_model_the_rule_and_its_reason(door: Door, key: str, revision: str) -> None:
    done = call(door, key, revision, "payments_create", {**PAY, "currency": "USD"})
    assert done.is_error
    assert text_of(done) == "Denied by policy: no dollars\n- no-dollars: no dollars"
    assert done.structured_content["type"] == "urn:aos:problem:denied"
    assert done.structured_content["reasons"] == ["no-dollars: no dollars"]
    assert door.world.rows("select id::text, state from action") == [(done.structured_content["action_id"], "refused")]
    assert door.caller.calls == []


@BOTH
def test_a_tool_that_is_not_listed_is_refused_by_the_gate_and_recorded(door: Door, key: str, revision: str) -> None:
    done = call(door, key, revision, "admin_wipe")
    assert done.is_error
    assert "no rule allows `tool:admin.wipe`" in text_of(done)
    assert door.world.states() == [("admin.wipe", "refused")]


@BOTH
def test_arguments_that_do_not_fit_are_told_to_the_model(door: Door, key: str, revision: str) -> None:
    done = call(door, key, revision, "payments_create", {**PAY, "amount": 12.5})
    assert done.is_error
    assert done.structured_content["type"] == "urn:aos:problem:invalid-request"
    assert "/amount" in text_of(done)
    assert door.world.states() == [("payments.create", "refused")]
    assert door.caller.calls == []


@BOTH
def test_an_unknown_tool_is_an_error_of_the_protocol_and_recorded(door: Door, key: str, revision: str) -> None:
    error = fault(door, key, revision, lambda client: client.call_tool("payments_unknown", {}))
    assert (error.code, error.message) == (-32602, "there is no tool `payments_unknown`")
    assert door.world.states() == [("payments_unknown", "refused")]


@BOTH
def test_a_spent_budget_is_told_to_the_model(door: Door, key: str, revision: str) -> None:
    async def three(client: Client) -> list[bool]:
        return [(await client.call_tool("payments_create", {**PAY, "amount": f"{n}.00"})).is_error for n in (1, 2, 3)]

    assert speak(door, key, revision, three) == [False, False, True]


@BOTH
@pytest.mark.parametrize(
    ("outcome", "slug"),
    [
        (ToolOutcome(ok=False, error="the bank is closed"), "tool-failed"),
        (ToolOutcome(ok=False, error="connection lost", unknown=True), "outcome-unknown"),
    ],
)
def test_a_tool_that_fails_or_falls_silent_is_told_apart(
    world: World, revision: str, outcome: ToolOutcome, slug: str
) -> None:
    with open_door(world, Caller(lambda tool, arguments: outcome)) as door:
        done = call(door, door.api_key("finance"), revision, "payments_create", PAY)
    assert done.is_error
    assert done.structured_content["type"] == f"urn:aos:problem:{slug}"
    assert outcome.error in text_of(done)


@BOTH
def test_a_key_in_the_meta_replays_the_answer_and_pays_once(door: Door, key: str, revision: str) -> None:
    async def twice(client: Client) -> list[object]:
        meta = {"aos/idempotency-key": "k1"}
        done = [await client.call_tool("payments_create", PAY, meta=meta) for _ in range(2)]  # type: ignore[arg-type]
        assert [(each.meta or {}).get("aos/replayed") for each in done] == [None, True]
        return [(each.meta or {})["aos/action-id"] for each in done]

    first, second = speak(door, key, revision, twice)
    assert first == second
    assert len(door.caller.calls) == 1


@BOTH
def test_each_request_of_a_connection_may_go_to_another_process(world: World, revision: str) -> None:
    with open_door(world) as one, open_door(world) as other:

        async def work(client: Client) -> list[str]:
            names = [each.name for each in (await client.list_tools()).tools]
            assert names == [each.name for each in (await client.list_tools()).tools]
            return [text_of(await client.call_tool("erp_read", {})) for _ in range(4)]

        assert speak(one, one.api_key("finance"), revision, work, ports=(one.port, other.port)) == ["ok"] * 4
        assert len(one.caller.calls) == len(other.caller.calls) == 2


def test_a_person_is_shown_what_their_roles_allow(door: Door) -> None:
    admin = speak(door, door.personal_token("admin"), STATELESS, listed)
    assert [each.name for each in admin.tools] == [
        "admin_wipe",
        "erp_read",
        "erp_write_once",
        "mail_send",
        "payments_create",
    ]
    developer = speak(door, door.personal_token("developer"), HANDSHAKE, listed)
    assert developer.tools == []


def test_a_handshake_client_may_ping(door: Door, key: str) -> None:
    async def ping(client: Client) -> object:
        return await client.session.send_ping()

    assert speak(door, key, HANDSHAKE, ping) is not None
