"""What a request wishes of a model, read from the request, its purpose and its agent: how hard it is, what it needs.

Nothing here looks at what a text means: length, tools, images, an asked-for reasoning, the goal's steps and the agent's kind
are counted, so that the same request always wishes the same, and each sign can be shown with its points.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from aos.kernel.agents import AgentType
from aos.kernel.dialects.values import Asked, Dialect
from aos.kernel.models.purposes import EMBEDDING, GENERAL, HIGH_SPEED, SPECIALIZED
from aos.kernel.models.values import Capability

AUTO: Final = "auto"
"""The name by which a request leaves the choice of the purpose to AOS."""

BYTES_PER_TOKEN: Final = 4
"""Bounds count every byte as a token; an estimate takes so many bytes for one, which no usual text stays under by much."""

GOAL_LENGTH_MAX: Final = 4_000
"""How much of a goal is read."""
HARD: Final = 60
"""From so much demand a request is for the strong."""
EASY: Final = 20
"""Up to so much demand a request without tools is for the quick."""

_STEPS = re.compile(r"[,;]|\b(?:and|then|while|without|unless|until|before|after)\b", re.IGNORECASE)
_DEEP = re.compile(
    r"\b(?:plan|design|analy[sz]e|negotiate|reconcile|investigate|decide|weigh|strateg\w+|prove|forecast|diagnose)",
    re.IGNORECASE,
)
_KINDS: Final = {AgentType.EXECUTIVE: 20, AgentType.FUNCTIONAL: 5, AgentType.OBSERVER: 5, AgentType.SUB_AGENT: -15}


@dataclass(frozen=True, slots=True)
class Wish:
    """What one request wishes. `purpose` is a purpose's name, `auto`, or empty where it names a model itself."""

    purpose: str
    dialect: Dialect
    needs: tuple[Capability, ...] = ()
    input_tokens_max: int = 0
    output_tokens: int = 0
    """The longest answer that it asks for; 0: not said."""
    agent_type: AgentType = AgentType.FUNCTIONAL
    words: int = 0
    tools: int = 0
    images: int = 0
    reasoning: bool = False
    goal_complexity: int = 0
    """0 (one plain step) to 3, of the agent's or the run's goal."""
    room_nanos: int | None = None
    """What may be spent, in the currency of the candidates' costs; None: no budget says."""
    digest: str = ""
    """Of the request: the same request always falls on the same side of a canary."""


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign of how hard a request is, with its points of a hundred."""

    name: str
    points: int


def wish_of(
    asked: Asked,
    agent_type: AgentType,
    *,
    purpose: str,
    goal: str = "",
    room_nanos: int | None = None,
    digest: str = "",
) -> Wish:
    """Return what a request wishes; `purpose` is a purpose's name, `auto`, or empty where the request names a model."""
    needs: tuple[Capability, ...] = (Capability.TOOLS,) if asked.tools else ()
    if asked.images:
        needs += (Capability.IMAGES,)
    if asked.json_schema:
        needs += (Capability.JSON_SCHEMA,)
    if asked.reasoning:
        needs += (Capability.REASONING,)
    if asked.dialect is Dialect.EMBEDDINGS:
        needs += (Capability.EMBEDDINGS,)
    return Wish(
        purpose,
        asked.dialect,
        needs,
        asked.input_tokens_max,
        asked.output_limit or 0,
        agent_type,
        asked.words,
        len(asked.tools),
        asked.images,
        asked.reasoning,
        _goal_complexity(goal[:GOAL_LENGTH_MAX]),
        room_nanos,
        digest,
    )


def goal_complexity(goal: str) -> int:
    """Return how complex a goal reads, from 0 to 3: by its length, its steps, and whether it asks for judgement.

    Of a very long goal the first GOAL_LENGTH_MAX characters are read.
    """
    return _goal_complexity(goal[:GOAL_LENGTH_MAX])


@lru_cache(maxsize=1_024)
def _goal_complexity(goal: str) -> int:
    words = len(goal.split())
    points = (words > 12) + (words > 60) + (len(_STEPS.findall(goal)) >= 3) + bool(_DEEP.search(goal))
    return min(points, 3)


def input_estimate(wish: Wish) -> int:
    """Return about how many tokens the input has; its bound counts bytes."""
    return -(-wish.input_tokens_max // BYTES_PER_TOKEN)


def signs(wish: Wish) -> tuple[Sign, ...]:
    """Return the signs of how hard the request is, those without points left out."""
    names = ("words", "input", "tools", "images", "reasoning", "goal", f"{wish.agent_type} agent")
    return tuple(Sign(name, points) for name, points in zip(names, _points(wish), strict=True) if points)


def demand(wish: Wish) -> int:
    """Return how hard the request is, from 0 to 100."""
    return max(0, min(100, sum(_points(wish))))


def _points(wish: Wish) -> tuple[int, ...]:
    tokens = input_estimate(wish)
    return (
        15 if wish.words >= 400 else 10 if wish.words >= 100 else 5 if wish.words >= 20 else 0,
        15 if tokens >= 50_000 else 10 if tokens >= 10_000 else 5 if tokens >= 1_000 else 0,
        15 if wish.tools > 3 else 10 if wish.tools else 0,
        5 if wish.images else 0,
        25 if wish.reasoning else 0,
        8 * wish.goal_complexity,
        _KINDS[wish.agent_type],
    )


def purpose_of(wish: Wish, hard: int) -> str:
    """Return the proposed purpose that fits a request which leaves it to AOS; `hard` is its demand."""
    if wish.dialect is Dialect.EMBEDDINGS:
        return EMBEDDING
    if hard >= HARD and wish.agent_type is not AgentType.SUB_AGENT:
        return SPECIALIZED
    if hard <= EASY and not wish.tools:
        return HIGH_SPEED
    return GENERAL
