"""Whether a small model's answer counts, or a larger one must be asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, assert_never

import msgspec

from aos.kernel.models.values import CascadeCheck

TOOL_STOPS: Final = frozenset({"tool_calls", "function_call", "tool_use"})
"""Why an answer stops that calls tools; its text may be empty."""

FINISHED_STOPS: Final = TOOL_STOPS | {"stop", "end_turn", "stop_sequence", "completed"}
"""Why an answer stops that says all it had to say, in every dialect; length limits and filters are not among them."""


def passes(checks: Sequence[CascadeCheck], text: str, stop_reason: str) -> str:
    """Return the first check that an answer failed, or nothing where it passed all.

    An answer that calls tools is not empty and need not be JSON.
    """
    calls_tools = stop_reason in TOOL_STOPS
    for check in checks:
        if not _passes(check, text, stop_reason, calls_tools=calls_tools):
            return check.value
    return ""


def _passes(check: CascadeCheck, text: str, stop_reason: str, *, calls_tools: bool) -> bool:
    match check:
        case CascadeCheck.NOT_EMPTY:
            return calls_tools or bool(text.strip())
        case CascadeCheck.JSON:
            return calls_tools or _is_json(text)
        case CascadeCheck.FINISHED:
            return stop_reason in FINISHED_STOPS
        case _:
            assert_never(check)


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return True
