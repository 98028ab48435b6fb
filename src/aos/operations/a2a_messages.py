"""What of an A2A message an agent is given, and what a message to an agent elsewhere carries along.

    one part with `data`       its value is the input, exactly as it was written
    several of them            their list is the input
    parts with `text`          joined by an empty line they are the goal; alone they are the input too, as `{"text": ...}`
    files, by bytes or URL     refused: nothing is fetched for a caller

Beside a message, in `metadata`, stand the trace it belongs to, what may still be spent for it, and until when it is wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from aos.kernel.errors import FieldError, InvalidRequest, UnsupportedMediaType
from aos.kernel.json import Json, depth
from aos.kernel.limits import ARGUMENTS_DEPTH_MAX, NAME_LENGTH_MAX
from aos.kernel.money import Money, parse_money

TRACE_META: Final = "traceparent"
"""The trace that a message belongs to (W3C Trace Context)."""
BUDGET_META: Final = "aos/budget-left"
"""What may still be spent: `{"amount": "12.30", "currency": "EUR"}`."""
DEADLINE_META: Final = "aos/deadline"
"""Until when the answer is wanted, RFC 3339."""
TRACE_LABEL: Final = "traceparent"
PARTS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message as a client sent it: `sent` holds it whole with its metadata; the rest is what the agent is given."""

    message_id: str
    sent: Mapping[str, Json]
    input: Json = None
    goal: str = ""
    context_id: str = ""
    task_id: UUID | None = None
    budget: Money | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def message(self) -> Json:
        """Return the message itself."""
        return self.sent["message"]


def read_incoming(sent: Mapping[str, Json]) -> Incoming:
    """Return what `{"message": ..., "metadata": ...}` says; raise InvalidRequest, UnsupportedMediaType for a file."""
    message = sent.get("message")
    if not isinstance(message, dict):
        raise _wrong("/message", "must be a message")
    message_id = _name(message, "messageId")
    if not message_id:
        raise _wrong("/message/messageId", "must be there: the same id is the same message")
    if message.get("role") not in (None, "ROLE_USER", "ROLE_UNSPECIFIED", 0, 1):
        raise _wrong("/message/role", "must be `ROLE_USER`: whoever sends is the user")
    datas, texts = _parts(message.get("parts"))
    goal = "\n\n".join(texts)
    metadata = sent.get("metadata")
    said: Mapping[str, Any] = metadata if isinstance(metadata, dict) else {}
    return Incoming(
        message_id=message_id,
        sent=sent,
        input={"text": goal} if not datas else datas[0] if len(datas) == 1 else datas,
        goal=goal,
        context_id=_name(message, "contextId"),
        task_id=_task_id(message),
        budget=_budget(said.get(BUDGET_META)),
        labels=_labels(said.get(TRACE_META)),
    )


def _parts(parts: Json) -> tuple[list[Json], list[str]]:
    """Return the values and the texts of a message's parts, in their order."""
    if not isinstance(parts, list) or not parts or len(parts) > PARTS_MAX:
        raise _wrong("/message/parts", f"must be a list of 1 to {PARTS_MAX} parts")
    datas: list[Json] = []
    texts: list[str] = []
    for n, part in enumerate(parts):
        where = f"/message/parts/{n}"
        if not isinstance(part, dict):
            raise _wrong(where, "must be an object with `text` or `data`")
        if "raw" in part or "url" in part:
            raise UnsupportedMediaType(f"`{where}` is a file: send `text` or `data`")
        if "data" in part:
            if depth(part["data"], at_most=ARGUMENTS_DEPTH_MAX) > ARGUMENTS_DEPTH_MAX:
                raise _wrong(f"{where}/data", f"nests deeper than {ARGUMENTS_DEPTH_MAX} levels")
            datas.append(part["data"])
        elif isinstance(text := part.get("text"), str):
            texts.append(text)
        else:
            raise _wrong(where, "must have `text` or `data`")
    return datas, texts


def _name(message: Mapping[str, Json], field: str) -> str:
    value = message.get(field) or ""
    if not isinstance(value, str) or len(value) > NAME_LENGTH_MAX or not value.isprintable():
        raise _wrong(f"/message/{field}", f"must have at most {NAME_LENGTH_MAX} printable characters")
    return value


def _task_id(message: Mapping[str, Json]) -> UUID | None:
    text = _name(message, "taskId")
    return task_id_of(text) if text else None


def task_id_of(text: str) -> UUID | None:
    """Return the id of a task; one that is no id names a task that there is not."""
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)


def _budget(value: Json) -> Money | None:
    if value is None:
        return None
    where = f"/metadata/{BUDGET_META}"
    if not isinstance(value, dict):
        raise _wrong(where, "must be an amount and its currency")
    try:
        return parse_money(f"{value.get('amount')} {value.get('currency')}")
    except (ValueError, InvalidRequest) as error:
        raise _wrong(where, "must be an amount and its currency") from error


def _labels(trace: Json) -> dict[str, str]:
    return (
        {TRACE_LABEL: trace}
        if isinstance(trace, str) and trace.isprintable() and 0 < len(trace) <= NAME_LENGTH_MAX
        else {}
    )


def _wrong(pointer: str, detail: str) -> InvalidRequest:
    return InvalidRequest(f"`{pointer}` {detail}", errors=[FieldError(pointer, detail)])
