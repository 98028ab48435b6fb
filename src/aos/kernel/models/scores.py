"""The points of a candidate: how well it fits, what it costs, how fast it answers; in whole numbers.

Each part is judged from 0 to 1,000 by itself, never against other candidates, and weighed by what the purpose prefers. The
weights of each preference make a hundred.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aos.kernel.agents import AgentType
from aos.kernel.models.health import BreakerState, Health
from aos.kernel.models.values import Objective

WEIGHTS: Final[Mapping[Objective, Mapping[str, int]]] = {
    Objective.BALANCED: {"fit": 30, "kind": 15, "cost": 15, "latency": 15, "reliability": 15, "preference": 10},
    Objective.QUALITY: {"fit": 55, "kind": 10, "cost": 2, "latency": 3, "reliability": 15, "preference": 15},
    Objective.LATENCY: {"fit": 12, "kind": 8, "cost": 8, "latency": 47, "reliability": 15, "preference": 10},
    Objective.COST: {"fit": 12, "kind": 8, "cost": 52, "latency": 6, "reliability": 12, "preference": 10},
}
BEST: Final = 1_000
LATENCY_UNKNOWN: Final = 650
"""Points of a model that has not answered yet: good enough to be tried."""
COST_FREE_NANOS: Final = 10_000
"""Up to so much a call counts as free; each doubling beyond costs points."""
LATENCY_BEST_MS: Final = 50


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a candidate's points, weighed, and what was seen."""

    name: str
    points: int
    seen: str


def score(
    objective: Objective,
    *,
    demand: int,
    agent_type: AgentType,
    strength: int,
    cost_nanos: int,
    health: Health,
    position: int | None,
    tagged: bool,
) -> tuple[Part, ...]:
    """Return the weighed parts of a candidate's points.

    `position` is its place among the purpose's candidates; None: there is no such order, and `tagged` says whether the
    catalogue or its operator gave it the purpose as a tag.
    """
    judged = {
        "fit": _fit(objective, demand, strength),
        "kind": _kind(agent_type, strength),
        "cost": (BEST - 50 * _doublings(cost_nanos, COST_FREE_NANOS) // 1_024, f"at most {cost_nanos} nanos"),
        "latency": _latency(health),
        "reliability": _reliability(health),
        "preference": _preference(position, tagged=tagged),
    }
    weights = WEIGHTS[objective]
    return tuple(Part(name, weights[name] * max(points, 0), seen) for name, (points, seen) in judged.items())


def _fit(objective: Objective, demand: int, strength: int) -> tuple[int, str]:
    """Judge the strength: by itself where quality counts, else by how near it is to what the request demands.

    Too weak loses four times as much as too strong.
    """
    if objective is Objective.QUALITY:
        return strength * 200, f"strength {strength}"
    wanted = 100 + demand * 4
    over = strength * 100 - wanted
    points = BEST - over if over >= 0 else BEST + over * 4
    return points, f"strength {strength} where {wanted / 100:g} is wanted"


def _kind(agent_type: AgentType, strength: int) -> tuple[int, str]:
    """Judge the strength by the agent's kind: an executive's decisions are worth a strong one, a sub-agent runs light."""
    points = {AgentType.EXECUTIVE: strength * 200, AgentType.SUB_AGENT: (6 - strength) * 200}.get(agent_type, 500)
    return points, f"{agent_type} agent"


def _latency(health: Health) -> tuple[int, str]:
    if health.p50_ms is None:
        return LATENCY_UNKNOWN, "not measured yet"
    p95_ms = health.p50_ms if health.p95_ms is None else health.p95_ms
    usual_ms = (3 * health.p50_ms + p95_ms) // 4
    points = BEST - 100 * _doublings(usual_ms, LATENCY_BEST_MS) // 1_024
    return points, f"first byte after {health.p50_ms} ms, 95 % by {p95_ms} ms"


def _reliability(health: Health) -> tuple[int, str]:
    if health.breaker is not BreakerState.CLOSED:
        return 0, "being tried again after failures"
    return BEST - 2 * health.error_per_mille, f"{health.error_per_mille / 10:g} % of its last calls failed"


def _preference(position: int | None, *, tagged: bool) -> tuple[int, str]:
    if position is None:
        return (BEST, "tagged for it") if tagged else (300, "not tagged for it")
    return BEST - 150 * position, f"candidate {position + 1} of the purpose"


def _doublings(value: int, start: int) -> int:
    """Return how often `start` doubles up to `value`, times 1,024, straight between powers of two; 0 below `start`.

    A whole number on every machine, which a logarithm of floats is not.
    """
    ratio = max(value, start) * 1_024 // start
    whole = ratio.bit_length() - 1
    return (whole - 10) * 1_024 + (ratio * 1_024 >> whole) - 1_024
