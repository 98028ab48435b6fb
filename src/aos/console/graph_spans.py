"""What a task's graph told of itself, as the inspector shows it: its spans, each below the one that it began in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from aos.console.doors import Visit
from aos.kernel.people import Permission
from aos.operations.actions import ActionView
from aos.operations.traces import SpanView, list_task_spans

SPANS_SHOWN: Final = 100
DEPTH_MAX: Final = 5
"""How far spans are moved in: deeper ones stand below each other."""


@dataclass(frozen=True, slots=True)
class SpanShown:
    """One span, and how deep it stands."""

    span: SpanView
    depth: int


def spans_of_task(visit: Visit, run_id: UUID, task_id: UUID) -> dict[str, Any]:
    """Return what the inspector of a task shows of its graph."""
    spans = _spans(visit, run_id, task_id)
    return {"spans": nested(spans[:SPANS_SHOWN]), "more_spans": len(spans) > SPANS_SHOWN}


def spans_of_act(visit: Visit, action: ActionView) -> dict[str, Any]:
    """Return the spans of its task's graph within which an act was asked for."""
    if action.run_id is None or action.task_id is None:
        return {}
    spans = _spans(visit, action.run_id, action.task_id)
    around = [each for each in spans if each.started_at <= action.intended_at <= each.ended_at]
    return {"spans": nested(around[:SPANS_SHOWN]), "more_spans": len(around) > SPANS_SHOWN}


def nested(spans: Sequence[SpanView]) -> tuple[SpanShown, ...]:
    """Return spans in the order in which they began, each directly below the one that it began in."""
    known = {each.id for each in spans}
    below: dict[str, list[SpanView]] = {}
    for each in spans:
        below.setdefault(each.parent if each.parent in known and each.parent != each.id else "", []).append(each)
    shown: list[SpanShown] = []
    waiting = [(each, 0) for each in reversed(below.get("", ()))]
    while waiting:
        span, depth = waiting.pop()
        shown.append(SpanShown(span, min(depth, DEPTH_MAX)))
        waiting += [(each, depth + 1) for each in reversed(below.pop(span.id, ()))]
    return tuple(shown)


def _spans(visit: Visit, run_id: UUID, task_id: UUID) -> tuple[SpanView, ...]:
    return list_task_spans(visit.actor, run_id, task_id) if visit.may(Permission.TRACE_READ) else ()
