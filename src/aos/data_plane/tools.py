"""`POST /tools/{name}/call`: the plain HTTP door for tool calls.

The body is `{"arguments": {...}}` and may name an `approval_id`; `Idempotency-Key` makes the call safe to repeat. 200 carries
the tool's answer, 202 the approval to wait for, everything else is a problem.
"""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID

from aos.data_plane.binding import Services
from aos.data_plane.http import Request, Response, json_response
from aos.kernel.acts import Act, ActionState, ActKind, Pending, Recorded, Refused
from aos.kernel.errors import (
    AosError,
    BudgetSpent,
    Denied,
    FieldError,
    InvalidRequest,
    OutcomeUnknown,
    SchemaChanged,
    ToolFailed,
    Unavailable,
)
from aos.kernel.json import Json, depth
from aos.kernel.limits import ARGUMENTS_DEPTH_MAX, NAME_LENGTH_MAX

NAME_PATTERN: Final = re.compile(r"[A-Za-z0-9_.:/@*-]+")
"""What a name in the ledger may be made of; a call of a well-formed name that no tool has is refused and recorded."""
_FIELDS: Final = frozenset({"arguments", "approval_id"})
_FAILURES: Final[dict[str, type[AosError]]] = {"schema-changed": SchemaChanged, "unavailable": Unavailable}
_REFUSALS: Final[dict[str, type[AosError]]] = {"budget-spent": BudgetSpent, "invalid-request": InvalidRequest}


async def call_tool(services: Services, request: Request, name: str) -> Response:
    """Pass one tool call through the gate and return what became of it."""
    principal = await services.authenticator.principal(
        request.bearer(), organization=request.headers.get("aos-organization")
    )
    if len(name) > NAME_LENGTH_MAX or not NAME_PATTERN.fullmatch(name):
        raise InvalidRequest(f"`{name[:80]}` cannot be the name of a tool")
    body = request.json_object()
    arguments, approval_id = _arguments(body), _approval_id(body)
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= NAME_LENGTH_MAX and key.isprintable()):
        raise InvalidRequest(f"Idempotency-Key must have 1 to {NAME_LENGTH_MAX} printable characters")
    act = Act(principal, ActKind.TOOL, name, arguments, idempotency_key=key, approval_id=approval_id)
    done = await services.work.perform(act)
    services.loops.mind(act, done)
    return answer(done, act)


def answer(done: Recorded | Pending | Refused, act: Act) -> Response:
    """Return the response of what became of an act; raise the problem of what was refused or failed."""
    match done:
        case Recorded(state=ActionState.PERFORMED):
            headers = {"idempotency-replayed": "true"} if done.replayed else {}
            document = {"action_id": done.action_id, "state": done.state, "value": done.value}
            return json_response(200, document, headers=headers)
        case Pending():
            document = {
                "action_id": done.action_id,
                "state": ActionState.WAITING,
                "approval_id": done.approval_id,
                "reason": done.reason,
            }
            return json_response(202, document, headers={"location": f"/approvals/{done.approval_id}"})
        case _:
            raise refusal_of(done, act)


def refusal_of(done: Recorded | Refused, act: Act) -> AosError:
    """Return the error of an act that was refused or failed, or whose outcome is not known."""
    match done:
        case Recorded(state=ActionState.UNKNOWN):
            return OutcomeUnknown(done.detail, extra=_named(done.action_id))
        case Recorded(state=ActionState.REFUSED):
            detail = done.detail or f"`{act.action}` was refused"
            return _refusal(done.error)(detail, reasons=done.reasons, extra=_named(done.action_id))
        case Recorded():
            failed = _FAILURES.get(done.error, ToolFailed)
            return failed(done.detail or f"`{act.name}` failed", extra=_named(done.action_id))
        case Refused():
            return _refusal(done.error)(done.detail, reasons=done.reasons, extra=_named(done.action_id))


def _named(action_id: UUID) -> dict[str, str]:
    """Return what a problem names the action and its trace by."""
    return {"action_id": str(action_id), "trace_id": str(action_id)}


def _refusal(slug: str) -> type[AosError]:
    return _REFUSALS.get(slug, Denied)


def _arguments(body: dict[str, Json]) -> Json:
    unknown = sorted(set(body) - _FIELDS)
    if unknown:
        errors = [FieldError(f"/{name}", "is not a field of a tool call") for name in unknown]
        raise InvalidRequest(f"unknown field `{unknown[0][:80]}`: send `arguments`", errors=errors)
    arguments = body.get("arguments", {})
    if not isinstance(arguments, dict):
        raise InvalidRequest(
            "`arguments` must be a JSON object", errors=[FieldError("/arguments", "must be a JSON object")]
        )
    if depth(arguments, at_most=ARGUMENTS_DEPTH_MAX) > ARGUMENTS_DEPTH_MAX:
        raise InvalidRequest(f"`arguments` nest deeper than {ARGUMENTS_DEPTH_MAX} levels")
    return arguments


def _approval_id(body: dict[str, Json]) -> UUID | None:
    text = body.get("approval_id")
    if text is None:
        return None
    try:
        return UUID(str(text))
    except ValueError as error:
        detail = f"`{str(text)[:60]}` is not the id of an approval"
        raise InvalidRequest(detail, errors=[FieldError("/approval_id", detail)]) from error
