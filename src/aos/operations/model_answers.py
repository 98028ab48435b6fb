"""From what a model's server answered to what is recorded and charged: tokens as reported, or an estimate where none were.

What a caller may ask for again (by Idempotency-Key, or by replay inside a task) is kept whole, encrypted; of everything else
only the figures are.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from aos.kernel.acts import Permit
from aos.kernel.dialects.values import Tokens
from aos.kernel.json import Json
from aos.kernel.models.prices import measures
from aos.kernel.models.values import Model
from aos.kernel.money import Money
from aos.kernel.ports import Line, ToolOutcome

KEPT_BYTES_MAX = 4 * 1024 * 1024
"""Largest answer that is kept for being asked for again."""
_USUAL_ENDS = frozenset({"stop", "tool_calls"})
"""Why answers end of which nothing is worth keeping but the figures."""
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
class Said:
    """One answer as the caller got it."""

    status: int
    media_type: str
    body: bytes
    stop_reason: str = ""


class Kept:
    """What went to the caller, for whoever asks again; nothing once it is too large."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, part: bytes) -> None:
        """Take what goes to the caller next."""
        self._size += len(part)
        if self._size <= KEPT_BYTES_MAX:
            self._parts.append(part)
        else:
            self._parts.clear()

    def whole(self, tail: bytes) -> bytes:
        """Return all of it with its end, nothing where that is too large to be kept."""
        return b"".join([*self._parts, tail]) if self._size + len(tail) <= KEPT_BYTES_MAX else b""


def estimate(permit: Permit, *, seen_bytes: int, known: Tokens | None) -> Tokens:
    """Return what a cut call is held to have used: what the server said, filled up with what was sent and seen."""
    ask = permit.act.model
    assert ask is not None
    most = permit.output_limit * ask.choices if permit.output_limit else seen_bytes
    output = min(seen_bytes // _BYTES_PER_TOKEN_OUT, most)
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


def answered(said: Said, spent: tuple[Spent, ...], *, keeps: bool, on: date, currency: str) -> ToolOutcome:
    """Return the outcome of an answer that the caller gets."""
    return ToolOutcome(
        ok=True,
        value=_value(said, spent, keeps=keeps),
        lines=tuple(line for each in spent for line in lines_of(each, on=on, currency=currency)),
        estimated=any(each.estimated for each in spent),
        kept=keeps or said.stop_reason not in _USUAL_ENDS,
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


def _value(said: Said, spent: tuple[Spent, ...], *, keeps: bool) -> Json:
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
