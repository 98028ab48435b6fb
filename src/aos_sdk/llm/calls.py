"""What a model asks for in one answer, and what it is told of it. Pure values, and their reading."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aos_sdk.frames import Json
from aos_sdk.llm.rules import CALLS_PER_TURN_MAX
from aos_sdk.reach import Style
from aos_sdk.shapes import Completion

RAW_CHARS_MAX: Final = 400
_CUT: Final = "length"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One call that a model asked for. With a `problem` it cannot be made: its arguments are no object, or it is one too many."""

    id: str
    name: str
    arguments: Mapping[str, Json] = field(default_factory=dict)
    problem: str = ""

    @property
    def digest(self) -> str:
        """Return what calls alike have in common."""
        spelled = json.dumps([self.name, self.arguments, self.problem], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(spelled.encode("utf-8", "replace")).hexdigest()


@dataclass(frozen=True, slots=True)
class Told:
    """What a model is told of one call: what came of it, or why nothing did."""

    text: str
    ok: bool = True


@dataclass(frozen=True, slots=True)
class Reading:
    """One answer as it reads: the calls that it asks for, or a last word, or why it is of no use."""

    wanted: tuple[Wanted, ...] = ()
    has_answer: bool = False
    answer: Json = None
    problem: str = ""


def read_answer(style: Style, said: Completion) -> Reading:
    """Return what a model's answer asks for; in the style of tools a text without calls is the last word."""
    if said.stop_reason == _CUT:
        return Reading(problem="your answer was cut at the limit of its length: say it shorter")
    if style is not Style.TOOLS:
        return _read_step(said.text)
    if said.tool_calls:
        return Reading(tuple(_wanted(call, place) for place, call in enumerate(said.tool_calls)))
    if not said.text.strip():
        return Reading(problem="your answer is empty: call a tool, or give the answer")
    return Reading(has_answer=True, answer=said.text)


def _wanted(call: Mapping[str, Any], place: int) -> Wanted:
    function = call.get("function") or {}
    name, raw = str(function.get("name") or ""), function.get("arguments") or "{}"
    made = str(call.get("id") or "") or f"call_{place}"
    if place >= CALLS_PER_TURN_MAX:
        return Wanted(
            made, name, problem=f"an answer may ask for at most {CALLS_PER_TURN_MAX} calls: ask again next turn"
        )
    try:
        arguments = json.loads(raw) if isinstance(raw, str) else raw
    except (ValueError, RecursionError) as error:
        return Wanted(made, name, problem=f"the arguments are not JSON ({error}): `{str(raw)[:RAW_CHARS_MAX]}`")
    if not isinstance(arguments, dict):
        return Wanted(made, name, problem=f"the arguments must be a JSON object, not `{str(raw)[:RAW_CHARS_MAX]}`")
    return Wanted(made, name, arguments)


def _read_step(text: str) -> Reading:
    """Read the next step of a model without tool calls: `{"tool": ..., "arguments": ...}` or `{"answer": ...}`."""
    found = find_object(text)
    if found is None:
        return Reading(problem="your answer holds no JSON object")
    if isinstance(found.get("tool"), str) and found["tool"]:
        arguments = found.get("arguments", {})
        if not isinstance(arguments, dict):
            return Reading((Wanted("step", found["tool"], problem="`arguments` must be a JSON object"),))
        return Reading((Wanted("step", found["tool"], arguments),))
    if "answer" in found:
        return Reading(has_answer=True, answer=found["answer"])
    return Reading(problem="your answer has neither `tool` nor `answer`")


def find_object(text: str) -> dict[str, Any] | None:
    """Return the first JSON object that stands in a text, whatever stands around it; None where there is none."""
    decoder = json.JSONDecoder()
    at = text.find("{")
    while at >= 0:
        try:
            value, _ = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            return value
        at = text.find("{", at + 1)
    return None


def result_text(value: Json, *, chars_max: int) -> str:
    """Return a value as a model is told it: text as it is, else JSON; what is too long says how much is left out."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) <= chars_max:
        return text
    return f"{text[:chars_max]}\n[{len(text) - chars_max} more characters are left out: ask for less at a time]"
