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

PARTS: Final = ("fit", "kind", "cost", "latency", "reliability", "preference")

WEIGHTS: Final[Mapping[Objective, tuple[int, ...]]] = {
    Objective.BALANCED: (30, 15, 15, 15, 15, 10),
    Objective.QUALITY: (55, 10, 2, 3, 15, 15),
    Objective.LATENCY: (12, 8, 8, 47, 15, 10),
    Objective.COST: (12, 8, 52, 6, 12, 10),
}
"""What each part weighs, in the order of PARTS."""
BEST: Final = 1_000
LATENCY_UNKNOWN: Final = 650
"""Points of a model that has not answered yet: good enough to be tried."""
COST_FREE_NANOS: Final = 10_000
"""Up to so much a call counts as free; each doubling beyond costs points."""
LATENCY_BEST_MS: Final = 50


@dataclass(frozen=True, slots=True)
class Seen:
    """What is judged of a candidate.

    `position` is its place among the purpose's candidates; None: there is no such order, and `tagged` says whether the
    catalogue or its operator gave it the purpose as a tag.
    """

    objective: Objective
    demand: int
    agent_type: AgentType
    strength: int
    cost_nanos: int
    health: Health
    position: int | None
    tagged: bool


def score(seen: Seen) -> tuple[int, ...]:
    """Return the weighed points of a candidate's parts, in the order of PARTS; none is negative."""
    fit, kind, cost, latency, reliability, preference = WEIGHTS[seen.objective]
    return (
        fit * max(_fit(seen), 0),
        kind * _kind(seen),
        cost * max(BEST - 50 * _doublings(seen.cost_nanos, COST_FREE_NANOS) // 1_024, 0),
        latency * max(_latency(seen.health), 0),
        reliability * max(_reliability(seen.health), 0),
        preference * max(_preference(seen), 0),
    )


def describe(seen: Seen) -> tuple[str, ...]:
    """Return what was looked at for each part, in the order of PARTS."""
    health = seen.health
    wanted = "" if seen.objective is Objective.QUALITY else f" where {_wanted(seen) / 100:g} is wanted"
    latency = "not measured yet"
    if health.p50_ms is not None:
        latency = f"first byte after {health.p50_ms} ms, 95 % by {health.p95_ms or health.p50_ms} ms"
    reliability = f"{health.error_per_mille / 10:g} % of its last calls failed"
    if health.breaker is not BreakerState.CLOSED:
        reliability = "being tried again after failures"
    preference = "tagged for it" if seen.tagged else "not tagged for it"
    if seen.position is not None:
        preference = f"candidate {seen.position + 1} of the purpose"
    return (
        f"strength {seen.strength}{wanted}",
        f"{seen.agent_type} agent",
        f"at most {seen.cost_nanos} nanos",
        latency,
        reliability,
        preference,
    )


def _wanted(seen: Seen) -> int:
    return 100 + seen.demand * 4


def _fit(seen: Seen) -> int:
    """Judge the strength: by itself where quality counts, else by how near it is to what the request demands.

    Too weak loses four times as much as too strong.
    """
    if seen.objective is Objective.QUALITY:
        return seen.strength * 200
    over = seen.strength * 100 - _wanted(seen)
    return BEST - over if over >= 0 else BEST + over * 4


def _kind(seen: Seen) -> int:
    """Judge the strength by the agent's kind: an executive's decisions are worth a strong one, a sub-agent runs light."""
    if seen.agent_type is AgentType.EXECUTIVE:
        return seen.strength * 200
    return (6 - seen.strength) * 200 if seen.agent_type is AgentType.SUB_AGENT else 500


def _latency(health: Health) -> int:
    if health.p50_ms is None:
        return LATENCY_UNKNOWN
    p95_ms = health.p50_ms if health.p95_ms is None else health.p95_ms
    return BEST - 100 * _doublings((3 * health.p50_ms + p95_ms) // 4, LATENCY_BEST_MS) // 1_024


def _reliability(health: Health) -> int:
    return BEST - 2 * health.error_per_mille if health.breaker is BreakerState.CLOSED else 0


def _preference(seen: Seen) -> int:
    if seen.position is None:
        return BEST if seen.tagged else 300
    return BEST - 150 * seen.position


def _doublings(value: int, start: int) -> int:
    """Return how often `start` doubles up to `value`, times 1,024, straight between powers of two; 0 below `start`.

    A whole number on every machine, which a logarithm of floats is not.
    """
    ratio = max(value, start) * 1_024 // start
    whole = ratio.bit_length() - 1
    return (whole - 10) * 1_024 + (ratio * 1_024 >> whole) - 1_024
