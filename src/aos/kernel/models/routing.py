"""Which model answers a request: who can, in which order, and why.

A choice is a function of three recorded values and is therefore replayed exactly: points are whole numbers, ties fall by the
order of the candidates, and no candidate's points depend on another's, so one that drops out never reorders the rest. What
cannot answer is rejected with its reason, never ranked last. A request that names a model gets that model first, whatever
its points: there the order of the candidates is the order of its fallbacks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from aos.kernel.dialects.translate.requests import can_speak
from aos.kernel.dialects.values import Dialect
from aos.kernel.models.health import Health
from aos.kernel.models.scores import Seen, score
from aos.kernel.models.values import Capability, Model, Objective, Provider, Purpose
from aos.kernel.models.wishes import AUTO, Wish, demand, input_estimate, purpose_of

_TRANSLATED_TO: Final = (Dialect.CHAT, Dialect.MESSAGES)
"""What a request is translated to, the first where a server speaks both."""
_AUTO_OBJECTIVES: Final = {"high-speed": Objective.LATENCY, "specialized-reasoning": Objective.QUALITY}
_SHARES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a choice reads of one model and of how its server fares; costs of all candidates are in one currency."""

    name: str
    provider: Provider
    dialects: tuple[Dialect, ...]
    strength: int
    context_tokens: int = 0
    output_tokens_max: int = 0
    capabilities: tuple[Capability, ...] = ()
    tags: tuple[str, ...] = ()
    region: str = ""
    cost_nanos: int = 0
    """What the call costs at most."""
    health: Health = field(default_factory=Health)
    barred: str = ""
    """Why policy keeps the caller from it; empty where the caller may ask it."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """One candidate that can answer: its points, and their parts in the order of `scores.PARTS`.

    Where the request names its model there are none: the order is given.
    """

    name: str
    points: int = 0
    parts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """One candidate that cannot answer this request now, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """The candidates that can answer, the first to be asked first, those that cannot, and what led to it."""

    order: tuple[Ranked, ...]
    rejected: tuple[Rejected, ...]
    purpose: str = ""
    """The purpose's name; empty where the request names its model."""
    objective: Objective = Objective.BALANCED
    demand: int = 0
    """How hard the request looked, from 0 to 100."""
    reasons: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names in the order in which they are to be asked."""
        return tuple(ranked.name for ranked in self.order)


def candidate_of(model: Model, health: Health, *, cost_nanos: int, barred: str = "") -> Candidate:
    """Return what a choice reads of a model; `cost_nanos` is its bound, in the currency of all candidates."""
    return Candidate(
        model.name,
        model.provider,
        model.dialects,
        model.strength,
        model.context_tokens,
        model.output_tokens_max,
        model.capabilities,
        model.tags,
        model.region,
        cost_nanos,
        health,
        barred,
    )


def choose(wish: Wish, candidates: Sequence[Candidate], purpose: Purpose | None) -> Choice:
    """Return which candidates can answer, best first, with the reasons; pure, total, and the same for the same values.

    Without a purpose a request that says `auto` gets the one that its signs fit, and one that names a model keeps the
    candidates' order. An empty order means that none can answer: each then stands among the rejected.
    """
    residency = purpose.residency if purpose else ()
    rejected, able = [], []
    for position, candidate in enumerate(candidates):
        reason = _why_not(wish, candidate, residency)
        if reason:
            rejected.append(Rejected(candidate.name, reason))
        else:
            able.append((position, candidate))
    if not wish.purpose:
        named = tuple([Ranked(candidate.name) for _, candidate in able])
        return Choice(named, tuple(rejected), reasons=("the request names its model; others are its fallbacks",))
    hard = demand(wish)
    name, objective = aim_of(wish, purpose, hard=hard)
    reasons = [f"{'purpose' if purpose else 'the request fits'} {name}, which prefers {objective}"]
    order = _ranked(
        [
            (each.name, seen_of(wish, each, aim=(name, objective, hard), position=position, ranked_by=purpose))
            for position, each in able
        ]
    )
    if purpose and purpose.cascade:
        order = _lightest_first(order, {candidate.name: candidate for _, candidate in able})
        reasons.append("cascade: the lightest is asked first, the next where its answer fails a check")
    if purpose and purpose.canary:
        order = _canary(order, purpose, wish.digest, reasons)
    return Choice(tuple(order), tuple(rejected), name, objective, hard, tuple(reasons))


def dialect_for(asked: Dialect, spoken: Sequence[Dialect]) -> Dialect | None:
    """Return the dialect in which a request goes to a server: its own where spoken, else one it is translated to."""
    if asked in spoken:
        return asked
    return next((each for each in _TRANSLATED_TO if each in spoken and can_speak(asked, each)), None)


def aim_of(wish: Wish, purpose: Purpose | None, *, hard: int) -> tuple[str, Objective]:
    """Return the name and the objective of the purpose that a request is for; `hard` is its demand."""
    if purpose is not None:
        return purpose.name, purpose.objective
    name = purpose_of(wish, hard) if wish.purpose == AUTO else wish.purpose
    return name, _AUTO_OBJECTIVES.get(name, Objective.BALANCED)


def seen_of(
    wish: Wish, candidate: Candidate, *, aim: tuple[str, Objective, int], position: int, ranked_by: Purpose | None
) -> Seen:
    """Return what is judged of a candidate; `aim` is the purpose's name, its objective and the request's demand."""
    name, objective, hard = aim
    return Seen(
        objective,
        hard,
        wish.agent_type,
        candidate.strength,
        candidate.cost_nanos,
        candidate.health,
        position if ranked_by else None,
        name in candidate.tags,
    )


def _why_not(wish: Wish, candidate: Candidate, residency: Sequence[str]) -> str:
    """Return why a candidate cannot answer this request now; nothing where it can.

    Where the request names its model, what the model can do is its author's business: only facts of the moment count.
    """
    if candidate.barred:
        return candidate.barred
    if dialect_for(wish.dialect, candidate.dialects) is None:
        return f"it does not speak {wish.dialect}, nor a dialect that is translated to"
    if residency and candidate.region not in residency and candidate.provider is not Provider.LOCAL:
        return f"its region `{candidate.region or 'not said'}` is none of {', '.join(residency)}"
    if wish.purpose and (reason := _why_unable(wish, candidate)):
        return reason
    if candidate.health.open:
        return candidate.health.open
    if wish.room_nanos is not None and candidate.cost_nanos > wish.room_nanos:
        return f"it may cost {candidate.cost_nanos} nanos and the budget has {wish.room_nanos} left"
    return candidate.health.room


def _why_unable(wish: Wish, candidate: Candidate) -> str:
    missing = [need for need in wish.needs if need not in candidate.capabilities]
    if missing:
        return f"it has no {' and no '.join(missing)}"
    if Capability.EMBEDDINGS in candidate.capabilities and Capability.EMBEDDINGS not in wish.needs:
        return "it makes embeddings only"
    tokens = input_estimate(wish) + wish.output_tokens
    if candidate.context_tokens and tokens > candidate.context_tokens:
        return f"about {tokens} tokens do not fit its context of {candidate.context_tokens}"
    if candidate.output_tokens_max and wish.output_tokens > candidate.output_tokens_max:
        return f"{wish.output_tokens} tokens are asked for, it writes at most {candidate.output_tokens_max}"
    return ""


def _ranked(candidates: Sequence[tuple[str, Seen]]) -> list[Ranked]:
    order = []
    for name, seen in candidates:
        parts = score(seen)
        order.append(Ranked(name, sum(parts), parts))
    return sorted(order, key=lambda each: -each.points)


def _lightest_first(order: Sequence[Ranked], candidates: Mapping[str, Candidate]) -> list[Ranked]:
    return sorted(order, key=lambda each: (candidates[each.name].strength, candidates[each.name].cost_nanos))


def _canary(order: Sequence[Ranked], purpose: Purpose, digest: str, reasons: list[str]) -> list[Ranked]:
    """Return the order with the canary's model first, where the request falls into its share."""
    seed = hashlib.sha256(f"{purpose.name}\n{digest}".encode()).digest()
    share, upto = int.from_bytes(seed[:8], "big") % _SHARES, 0
    for name in sorted(purpose.canary):
        upto += purpose.canary[name] * _SHARES // 100
        if share < upto:
            chosen = [each for each in order if each.name == name]
            if not chosen:
                reasons.append(f"canary: {name} was due and cannot answer")
                return list(order)
            reasons.append(f"canary: {name} goes first for {purpose.canary[name]} % of the requests")
            return [*chosen, *(each for each in order if each.name != name)]
    return list(order)
