"""From what a model's server answered to what is recorded and charged: tokens as reported, or an estimate where none were.

What a caller may ask for again (by Idempotency-Key, or by replay inside a task) is kept whole, encrypted; of everything else
only the figures are, and redacted text where the organization keeps that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from aos.kernel.acts import Permit
from aos.kernel.dialects.spoken import Spoken
from aos.kernel.dialects.values import Dialect, Tokens
from aos.kernel.json import Json
from aos.kernel.models.prices import measures
from aos.kernel.models.values import Model
from aos.kernel.money import Money
from aos.kernel.ports import Line, ToolOutcome
from aos.kernel.redaction import CAPTURED_BYTES_MAX, Capture, CaptureMode, capture_body, capture_json

KEPT_BYTES_MAX = 4 * 1024 * 1024
"""Largest answer that is kept for being asked for again."""
CAPTURED_ANSWER: Final = "answer"
"""Under which name the text of an answer lies with its outcome."""
TRIED: Final = "tried"
"""Under which name those who were asked before stand with an outcome."""
EVENTS: Final = "text/event-stream"
_USUAL_ENDS = frozenset({"stop", "tool_calls"})
"""Why answers end of which nothing is worth keeping but the figures."""
TOKENS_PER_SECOND = 200
"""How fast a model is held to write that nobody listens to."""
_BYTES_PER_TOKEN_IN = 3
_BYTES_PER_TOKEN_OUT = 4
"""What a token has at least, in text as people write it: for estimates only, never for holds."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What one model used for an act."""

    model: Model
    tokens: Tokens
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Tried:
    """One try at a model that gave no answer, and why."""

    model: str
    reason: str


@dataclass(frozen=True, slots=True)
class Said:
    """One answer as the caller got it."""

    status: int
    media_type: str
    body: bytes
    stop_reason: str = ""


class Kept:
    """What went to the caller of a stream: whole, for whoever asks again, and as text where the organization keeps that."""

    def __init__(self, dialect: Dialect, capture: Capture, *, whole: bool) -> None:
        self._parts: list[bytes] = []
        self._size = 0 if whole else KEPT_BYTES_MAX + 1
        self._redact = capture.redact
        self._spoken = _spoken(dialect) if capture.models is CaptureMode.TEXT else None

    def add(self, part: bytes) -> None:
        """Take what went to the caller, or is about to; nothing is kept whole once it is too large."""
        if self._size <= KEPT_BYTES_MAX:
            self._size += len(part)
            self._parts.append(part)
            if self._size > KEPT_BYTES_MAX:
                self._parts.clear()
        if self._spoken is not None:
            self._spoken.add(part)

    def whole(self) -> bytes:
        """Return all of it, nothing where it was not to be kept or is too large."""
        return b"".join(self._parts)

    def text(self) -> str:
        """Return what was said as it is kept, empty where nothing is."""
        return capture_json(self._spoken.parts(), self._redact) if self._spoken is not None else ""


def answer_text(capture: Capture, dialect: Dialect, said: Said) -> str:
    """Return an answer as its organization keeps it; empty where it keeps none, or where the answer is no text but figures."""
    if capture.models is not CaptureMode.TEXT or dialect in (Dialect.EMBEDDINGS, Dialect.COUNT_TOKENS):
        return ""
    if said.media_type != EVENTS:
        return capture_body(said.body, capture.redact)
    kept = Kept(dialect, capture, whole=False)
    kept.add(said.body)
    return kept.text()


def captured_value(text: str) -> dict[str, Json]:
    """Return what stands in an outcome for the answer's text."""
    return {CAPTURED_ANSWER: text} if text else {}


def _spoken(dialect: Dialect) -> Spoken:
    return Spoken(dialect, at_most=2 * CAPTURED_BYTES_MAX)


def estimate(permit: Permit, *, seen_bytes: int, seconds: float, known: Tokens | None) -> Tokens:
    """Return what a cut call is held to have used: what the server said, filled up with what was sent and seen.

    A server goes on writing, and thinking unseen, until it notices: every choice counts as if it had written as fast as
    TOKENS_PER_SECOND all the time, so that a budget is not spent by those who hang up.
    """
    ask = permit.act.model
    assert ask is not None
    unseen = round(seconds * TOKENS_PER_SECOND) * ask.choices if permit.output_limit != 0 else 0
    output = max(seen_bytes // _BYTES_PER_TOKEN_OUT, unseen)
    if permit.output_limit is not None:
        output = min(output, permit.output_limit * ask.choices)
    read = known.input if known is not None and known.input else ask.input_tokens_max // _BYTES_PER_TOKEN_IN
    return Tokens(
        input=read,
        cached=known.cached if known is not None else 0,
        cache_writes=known.cache_writes if known is not None else 0,
        output=max(output, known.output if known is not None else 0),
    )


def lines_of(spent: Spent, *, on: date, currency: str) -> tuple[Line, ...]:
    """Return the usage of one model in lines; their costs add up to what the call cost."""
    model, tokens = spent.model, spent.tokens
    priced = next((price.currency for price in model.prices), currency)
    found = [
        Line(model.name, each.unit, each.quantity, Money(each.cost_nanos, priced if each.cost_nanos else currency))
        for each in measures(model.prices, tokens, on=on)
    ]
    return tuple(found) or (Line(model.name, "calls", 1, Money(0, currency)),)


def answered(
    said: Said,
    spent: tuple[Spent, ...],
    *,
    keeps: bool,
    on: date,
    currency: str,
    captured: str = "",
    tried: Sequence[Tried] = (),
) -> ToolOutcome:
    """Return the outcome of an answer that the caller gets; `captured` is what is kept of it as text."""
    before: dict[str, Json] = {TRIED: [{"model": each.model, "reason": each.reason} for each in tried]} if tried else {}
    return ToolOutcome(
        ok=True,
        value={**_value(said, spent, keeps=keeps), **before, **captured_value(captured)},
        lines=tuple(line for each in spent for line in lines_of(each, on=on, currency=currency)),
        estimated=any(each.estimated for each in spent),
        kept=keeps or bool(captured or tried) or said.stop_reason not in _USUAL_ENDS,
    )


def failed(reason: str, spent: tuple[Spent, ...], *, sent: bool, on: date, currency: str) -> ToolOutcome:
    """Return the outcome of a call without an answer; what was used until then is charged."""
    nothing = (Line("", "calls", 1, Money(0, currency)),)
    lines = tuple(line for each in spent for line in lines_of(each, on=on, currency=currency))
    return ToolOutcome(
        ok=False, error=reason, sent=sent, lines=lines or nothing, estimated=any(each.estimated for each in spent)
    )


def recorded_value(said: Said) -> dict[str, Json]:
    """Return an answer as it is recorded, and as `said_before` reads it."""
    return {
        "status": said.status,
        "stop_reason": said.stop_reason,
        "media_type": said.media_type,
        "body": said.body.decode("utf-8", "replace"),
    }


def said_before(value: Json) -> Said | None:
    """Return an answer from what was recorded of it, None where it was not kept whole."""
    if not isinstance(value, dict) or not isinstance(value.get("body"), str):
        return None
    return Said(
        int(str(value["status"])), str(value["media_type"]), str(value["body"]).encode(), str(value["stop_reason"])
    )


def _value(said: Said, spent: tuple[Spent, ...], *, keeps: bool) -> dict[str, Json]:
    used: Json = [
        {
            "model": each.model.name,
            "version": each.model.version,
            "input_tokens": each.tokens.input,
            "cached_input_tokens": each.tokens.cached,
            "cache_write_tokens": each.tokens.cache_writes,
            "output_tokens": each.tokens.output,
            "reasoning_tokens": each.tokens.reasoning,
        }
        for each in spent
    ]
    if keeps and len(said.body) <= KEPT_BYTES_MAX:
        return {**recorded_value(said), "used": used}
    return {"status": said.status, "stop_reason": said.stop_reason, "used": used}
