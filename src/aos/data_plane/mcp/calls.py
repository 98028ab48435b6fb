"""`tools/call`: one act through the gate, and what became of it in the protocol's own form.

Whatever the gate says against a call is a result with `isError` that the model reads; an error of the protocol is only what
no model can mend: an unknown tool, a malformed request. A call that waits for a person is
- in 2026-07-28 an `input_required` result with the approval's page to open, repeated with its `requestState`;
- in 2025-11-25 the error -32042 with that page;
- for a client that can open no address a result with `isError` that says to make the same call again.
Rules a reader must not break: a call that is repeated after the yes is done once; a key, an approval or a state that the
client sends is only ever looked up by the gate, which binds it to the principal and the act.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

import msgspec
from mcp_types.jsonrpc import INVALID_PARAMS, URL_ELICITATION_REQUIRED

from aos.data_plane.binding import Services
from aos.data_plane.http import problem_document
from aos.data_plane.mcp.catalogue import find_tool
from aos.data_plane.mcp.revisions import Client
from aos.data_plane.mcp.rpc import MCP_PATH, Fault
from aos.data_plane.tools import NAME_PATTERN, answer
from aos.kernel.acts import Act, ActionState, ActKind, Pending, Recorded, Refused
from aos.kernel.errors import AosError, ApprovalPending, Unauthenticated
from aos.kernel.identity import Principal
from aos.kernel.json import Json, depth
from aos.kernel.limits import ARGUMENTS_DEPTH_MAX, NAME_LENGTH_MAX
from aos.kernel.policy.values import Outcome
from aos.kernel.tools import Tool, ToolTransport

KEY_META: Final = "aos/idempotency-key"
APPROVAL_META: Final = "aos/approval-id"
ACTION_META: Final = "aos/action-id"
REPLAYED_META: Final = "aos/replayed"
ASKED: Final = "approval"
"""The one question of an `input_required` result."""
WAIT_SECONDS: Final = 25.0
"""How long a call that is repeated while a person looks at it waits for the answer before it says again that it waits."""
LOOK_SECONDS: Final = 2.0
"""How long that wait trusts the bell before it looks by itself."""


@dataclass(frozen=True, slots=True)
class Call:
    """One `tools/call` as it was sent; `base_url` is the address under which the caller reaches AOS."""

    principal: Principal
    client: Client
    params: Mapping[str, Any]
    idempotency_key: str | None
    base_url: str


async def call_tool(services: Services, call: Call) -> dict[str, Any]:
    """Make one call and return its result; raise Fault, or Unauthenticated for a credential that was revoked meanwhile."""
    name, arguments = call.params["name"], call.params.get("arguments") or {}
    if not (len(name) <= NAME_LENGTH_MAX and NAME_PATTERN.fullmatch(name)):
        raise Fault(INVALID_PARAMS, f"there is no tool `{name[:80]}`")
    if depth(arguments, at_most=ARGUMENTS_DEPTH_MAX) > ARGUMENTS_DEPTH_MAX:
        raise Fault(INVALID_PARAMS, f"`arguments` nest deeper than {ARGUMENTS_DEPTH_MAX} levels")
    facts = await services.facts.of(call.principal.organization_id)
    tool = find_tool(facts.tools, name)
    act = Act(
        call.principal,
        ActKind.TOOL,
        name if tool is None else tool.name,
        arguments,
        idempotency_key=_key(call),
        approval_id=_approval_id(call),
    )
    try:
        done = await _perform(services, act, call)
    except Unauthenticated:
        raise
    except AosError as error:
        return _failed(error)
    services.loops.mind(act, done)
    if tool is None and isinstance(done, Refused):
        raise Fault(INVALID_PARAMS, done.detail, data={"reasons": list(done.reasons), "action_id": str(done.action_id)})
    return _result(done, act, call, tool)


async def _perform(services: Services, act: Act, call: Call) -> Recorded | Pending | Refused:
    if act.idempotency_key is None and act.approval_id is None:
        facts = await services.facts.of(act.principal.organization_id)
        decision = await services.gate.judge(act, facts, approved={})
        # Only what would not be allowed at once can have been asked before: a statement that most calls are spared.
        act = replace(act, resumes=decision.outcome is not Outcome.ALLOW)
    done = await services.work.perform(act)
    if not isinstance(done, Pending) or _said(call) != "accept":
        return done
    clock = asyncio.get_running_loop().time
    until = clock() + WAIT_SECONDS
    while isinstance(done, Pending) and (left := until - clock()) > 0:
        # Listening begins before the gate is asked again: what changes in between rings the bell.
        async with _listening(services, done.approval_id, seconds=min(left, LOOK_SECONDS)) as rung:
            done = await services.work.perform(act)
            if isinstance(done, Pending):
                await rung
    return done


@asynccontextmanager
async def _listening(services: Services, approval_id: UUID, *, seconds: float) -> AsyncIterator[asyncio.Task[None]]:
    rung = asyncio.create_task(services.bell.wait("aos_approval", str(approval_id), timeout_seconds=seconds))
    try:
        await asyncio.sleep(0)
        yield rung
    finally:
        rung.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await rung


def _result(done: Recorded | Pending | Refused, act: Act, call: Call, tool: Tool | None) -> dict[str, Any]:
    match done:
        case Recorded(state=ActionState.PERFORMED):
            return _passed_on(done) if tool is not None and _is_passed_on(done.value, tool) else _performed(done)
        case Pending():
            return _waiting(done, act, call)
        case _:
            try:
                answer(done, act)
            except AosError as error:
                return _failed(error)
            raise AssertionError("what was neither performed nor waits is an error")


def _is_passed_on(value: Json, tool: Tool) -> bool:
    """Say whether a value is a result of another MCP server's whose pictures and resources are passed on as they are."""
    return (
        tool.transport is ToolTransport.MCP
        and isinstance(value, dict)
        and isinstance(value.get("content"), list)
        and set(value) <= {"content", "structured"}
    )


def _passed_on(done: Recorded) -> dict[str, Any]:
    assert isinstance(done.value, dict)
    result = {**_performed(done), "content": done.value["content"]}
    if isinstance(done.value.get("structured"), dict):
        result["structuredContent"] = done.value["structured"]
    else:
        result.pop("structuredContent")
    return result


def _performed(done: Recorded) -> dict[str, Any]:
    text = done.value if isinstance(done.value, str) else msgspec.json.encode(done.value).decode()
    meta: dict[str, Json] = {ACTION_META: str(done.action_id)}
    if done.replayed:
        meta[REPLAYED_META] = True
    structured = done.value if isinstance(done.value, dict) else {"value": done.value}
    return {
        "content": [{"type": "text", "text": text}],
        "structuredContent": structured,
        "isError": False,
        "_meta": meta,
    }


def _failed(error: AosError) -> dict[str, Any]:
    """Return what a model is told of a call that was refused or failed: a sentence, the reasons, and the whole problem."""
    document = problem_document(error, MCP_PATH)
    told = [f"{error.title}: {error.detail}", *(f"- {reason}" for reason in error.reasons if reason != error.detail)]
    meta = {ACTION_META: document["action_id"]} if "action_id" in document else {}
    return {
        "content": [{"type": "text", "text": "\n".join(told)}],
        "structuredContent": document,
        "isError": True,
        "_meta": meta,
    }


def _waiting(done: Pending, act: Act, call: Call) -> dict[str, Any]:
    approval = str(done.approval_id)
    named = {"approval_id": approval, "action_id": str(done.action_id)}
    page = f"{call.base_url}/console/approvals/{approval}"
    message = f"`{act.name}` waits for a person: {done.reason}"
    if call.client.opens_addresses and _said(call) not in ("decline", "cancel"):
        if not call.client.is_stateless:
            asked = {"mode": "url", "elicitationId": approval, "url": page, "message": message}
            raise Fault(URL_ELICITATION_REQUIRED, message, data={"elicitations": [asked], **named})
        params = {"mode": "url", "url": page, "message": message}
        asked_for = {ASKED: {"method": "elicitation/create", "params": params}}
        return {
            "resultType": "input_required",
            "inputRequests": asked_for,
            "requestState": approval,
            "_meta": {ACTION_META: str(done.action_id)},
        }
    told = f"{message}; once approval {approval} is given, make the very same call again and it is done ({page})"
    return _failed(ApprovalPending(told, extra=named))


def _said(call: Call) -> str | None:
    """Return whether the person at the client will look at the approval: `accept`, `decline` or `cancel`, None unasked.

    Who will not leaves it open for others; what is answered there is another matter.
    """
    responses = call.params.get("inputResponses")
    said = responses.get(ASKED) if isinstance(responses, dict) else None
    return said.get("action") if isinstance(said, dict) else None


def _key(call: Call) -> str | None:
    meta = call.params.get("_meta")
    key = meta.get(KEY_META) if isinstance(meta, dict) and KEY_META in meta else call.idempotency_key
    if key is not None and not (isinstance(key, str) and 0 < len(key) <= NAME_LENGTH_MAX and key.isprintable()):
        raise Fault(INVALID_PARAMS, f"`{KEY_META}` must have 1 to {NAME_LENGTH_MAX} printable characters")
    return key


def _approval_id(call: Call) -> UUID | None:
    meta = call.params.get("_meta")
    text = call.params.get("requestState") or (meta.get(APPROVAL_META) if isinstance(meta, dict) else None)
    try:
        return None if text is None else UUID(str(text))
    except ValueError as error:
        raise Fault(INVALID_PARAMS, f"`{str(text)[:60]}` is not the id of an approval") from error
