"""A run's acts in time, and its tree of decisions, as values that templates draw. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from aos.console.amounts import between_ms
from aos.console.run_words import act_text
from aos.console.states import Meaning, State, state_of
from aos.operations.actions import ActionView
from aos.operations.traces import Tree, TreeNode

CHART_WIDTH: Final = 1_000
BAR_MIN: Final = 6
LEAVES_OPEN_MAX: Final = 120
"""Acts that a tree shows opened; those of other tasks are one click away."""


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
    """One task of the tree; `leaves` is None where they are not shown until it is opened."""

    node: TreeNode
    state: State
    leaves: tuple[Leaf, ...] | None
    children: tuple[Branch, ...]
    is_open: bool

    @property
    def acts(self) -> int:
        """Return how many acts the task did itself."""
        return len(self.node.actions)

    @property
    def allowed(self) -> int:
        """Return how many of them a rule allowed."""
        return self._count("allow")

    @property
    def asked(self) -> int:
        """Return how many asked a person."""
        return self._count("escalate")

    @property
    def denied(self) -> int:
        """Return how many were denied."""
        return self._count("deny")

    def _count(self, outcome: str) -> int:
        return sum(action.outcome == outcome for action in self.node.actions)


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


def grow_tree(tree: Tree, *, opened: UUID | None) -> tuple[Branch, ...]:
    """Return the tasks as branches: those with a refusal, a question or a failure, and `opened`, show their acts."""
    left = [LEAVES_OPEN_MAX]
    return tuple(_branch(node, opened=opened, left=left) for node in tree.tasks)


def leaf_of(action: ActionView) -> Leaf:
    """Return one act as a leaf of the tree."""
    deciding = next((rule for rule in action.rules if rule.outcome == action.outcome), None)
    reason = action.reason or (deciding.reason if deciding else "")
    rule = f"{deciding.id}" if deciding else "no rule allows it"
    why = f"{rule}: {reason}" if reason and action.outcome != "allow" else rule
    return Leaf(action, _leaf_state(action), why)


def _leaf_state(action: ActionView) -> State:
    if action.state in ("failed", "unknown"):
        return state_of("action", action.state)
    if action.outcome == "allow" and action.approval is not None:
        return State(Meaning.GOOD, "approved")
    return state_of("decision", action.outcome)


def _branch(node: TreeNode, *, opened: UUID | None, left: list[int]) -> Branch:
    notable = any(action.outcome != "allow" or action.state in ("failed", "unknown") for action in node.actions)
    show = node.task.id == opened or (notable and len(node.actions) <= left[0])
    if show:
        left[0] -= len(node.actions)
    leaves = tuple(leaf_of(action) for action in node.actions) if show else None
    children = tuple(_branch(child, opened=opened, left=left) for child in node.children)
    state = state_of("task", node.task.state)
    is_open = show or bool(children)
    return Branch(node, state, leaves, children, is_open)
