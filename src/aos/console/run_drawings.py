"""A run's acts in time, and its tree of decisions, as values that templates draw. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from aos.console.amounts import between_ms
from aos.console.run_words import act_text
from aos.console.states import Meaning, State, state_of
from aos.operations.actions import ActionView
from aos.operations.activity import TaskActions
from aos.operations.run_views import TaskView

CHART_WIDTH: Final = 1_000
BAR_MIN: Final = 6


@dataclass(frozen=True, slots=True)
class Step:
    """One act in time: its bar from `x` to `x + width` of `CHART_WIDTH`."""

    action: ActionView
    text: str
    state: State
    x: int
    width: int
    offset_ms: float
    took_ms: float | None


@dataclass(frozen=True, slots=True)
class Leaf:
    """One decision of the tree."""

    action: ActionView
    state: State
    why: str


@dataclass(frozen=True, slots=True)
class Branch:
    """One task of the tree. `leaves` are the acts shown: the notable ones, or all of a task that is opened."""

    task: TaskView
    state: State
    acts: TaskActions
    leaves: tuple[Leaf, ...]
    children: tuple[Branch, ...]

    @property
    def hidden(self) -> int:
        """Return how many acts are not shown."""
        return self.acts.allowed + self.acts.asked + self.acts.denied - len(self.leaves)

    @property
    def is_open(self) -> bool:
        """Say whether anything below is worth seeing at once."""
        return bool(self.leaves or self.children)


def lay_out_steps(actions: Sequence[ActionView], *, begun: datetime, ends: datetime) -> tuple[Step, ...]:
    """Return acts with their bars between a run's beginning and its end, or now."""
    span = max(between_ms(begun, ends) or 0.0, 1.0)
    return tuple(_step(action, begun=begun, ends=ends, span_ms=span) for action in actions)


def _step(action: ActionView, *, begun: datetime, ends: datetime, span_ms: float) -> Step:
    offset = between_ms(begun, action.intended_at) or 0.0
    took = between_ms(action.intended_at, action.concluded_at)
    lasts = took if took is not None else between_ms(action.intended_at, ends) or 0.0
    x = min(int(offset * CHART_WIDTH / span_ms), CHART_WIDTH - BAR_MIN)
    width = max(BAR_MIN, min(int(lasts * CHART_WIDTH / span_ms), CHART_WIDTH - x))
    return Step(action, act_text(action), state_of("action", action.state), x, width, offset, took)


def grow_tree(
    tasks: Sequence[TaskView], counts: Mapping[UUID | None, TaskActions], shown: Sequence[ActionView]
) -> tuple[Branch, ...]:
    """Return the tasks without a parent as branches, each with those below it and with the acts that are shown."""
    leaves: dict[UUID | None, list[Leaf]] = {}
    for action in shown:
        leaves.setdefault(action.task_id, []).append(leaf_of(action))
    known = {task.id for task in tasks}
    below: dict[UUID | None, list[TaskView]] = {}
    for task in tasks:
        below.setdefault(task.parent_id if task.parent_id in known else None, []).append(task)

    def grow(parent_id: UUID | None) -> tuple[Branch, ...]:
        return tuple(
            Branch(
                task,
                state_of("task", task.state),
                counts.get(task.id, TaskActions()),
                tuple(leaves.get(task.id, ())),
                grow(task.id),
            )
            for task in below.get(parent_id, ())
        )

    return grow(None)


def leaf_of(action: ActionView) -> Leaf:
    """Return one act as a leaf of the tree."""
    deciding = next((rule for rule in action.rules if rule.outcome == action.outcome), None)
    reason = action.reason or (deciding.reason if deciding else "")
    rule = f"{deciding.id}" if deciding else "no rule allows it"
    why = f"{rule}: {reason}" if reason and action.outcome != "allow" else rule
    if action.state == "refused" and action.approval is not None:
        why = action.summary or f"{rule}: not approved"
    return Leaf(action, _leaf_state(action), why)


def _leaf_state(action: ActionView) -> State:
    if action.state in ("failed", "unknown"):
        return state_of("action", action.state)
    if action.outcome == "allow" and action.approval is not None:
        return State(Meaning.GOOD, "approved")
    return state_of("decision", action.outcome)
