"""Which models may answer a request, in which order, and why: the candidates of a name, a purpose or `auto`.

Every candidate is decided on by policy before it is asked; one that would be refused or has to wait for a person is left out
while another is allowed. The choice is the kernel's; what it was made of is kept with the decision, so that it can be made
again from there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from aos.kernel.acts import Act, ActKind, ModelAsk
from aos.kernel.agents import AgentType
from aos.kernel.dialects.read import bound_input
from aos.kernel.dialects.values import Asked, Dialect
from aos.kernel.errors import AosError, BudgetSpent, FieldError, InvalidRequest, NotFound, RateLimited, Unavailable
from aos.kernel.identity import Principal
from aos.kernel.json import Json
from aos.kernel.models.explanation import write_question
from aos.kernel.models.health import Health
from aos.kernel.models.routing import Candidate, Choice, candidate_of, choose, dialect_for
from aos.kernel.models.spec import is_free
from aos.kernel.models.values import CascadeCheck, Model, Purpose
from aos.kernel.models.wishes import AUTO, BYTES_PER_TOKEN, wish_of
from aos.kernel.policy.values import Decision, Outcome
from aos.operations.facts import FactsCache, OrganizationFacts
from aos.operations.gate import Gate
from aos.operations.model_health import ModelStates
from aos.operations.model_sending import prepared
from aos.operations.offers import bound_price

PURPOSE: Final = "purpose:"


@dataclass(frozen=True, slots=True)
class Route:
    """The models that may answer, the first first; `at_most` of them may be paid for one request.

    `checks` are what a lighter one's answer must pass, `hedge_after_seconds` is after how long without a word the next is
    asked too, `cache_seconds` how long the same request has the same answer. `document` is what the choice was made of.
    """

    models: tuple[Model, ...]
    input_tokens_max: int
    at_most: int = 1
    checks: tuple[CascadeCheck, ...] = ()
    hedge_after_seconds: float | None = None
    cache_seconds: int = 0
    document: Json = None

    def after(self, model: Model) -> tuple[Model, ...]:
        """Return who is asked next where an answer of `model` does not pass, nobody where there are no checks."""
        return self.models[self.models.index(model) + 1 :] if self.checks else ()


class Router:
    """Chooses models for requests in one process."""

    def __init__(self, gate: Gate, facts: FactsCache, states: ModelStates) -> None:
        self._gate = gate
        self._facts = facts
        self._states = states

    async def route(self, act: Act, asked: Asked, facts: OrganizationFacts, *, body: bytes, digest: str) -> Route:
        """Return the models that may answer.

        Raises NotFound for a name that stands for none, InvalidRequest where none of them can do what is asked, Unavailable
        where those that can do not answer at the moment.
        """
        models, purpose, name = _candidates(asked.model, facts)
        models = _translatable(models, asked, body)
        if len(models) == 1 and purpose is None and not name:
            return self._only(models[0], asked, facts)
        barred: dict[str, str] = {}
        if len(models) > 1:
            models, barred = await self._allowed(act, models, facts)
        tokens = asked.input_tokens_max // BYTES_PER_TOKEN
        candidates = [
            candidate_of(
                model,
                self._states.look(facts.id, model, input_tokens=tokens),
                cost_nanos=_cost_bound(model, asked, facts, self._facts) if len(models) > 1 else 0,
                barred=barred.get(model.name, ""),
            )
            for model in models
        ]
        agent = facts.agent_of(act.principal)
        kind, goal = (agent.type, agent.goal) if agent is not None else (AgentType.FUNCTIONAL, "")
        wish = wish_of(asked, kind, purpose=name, goal=goal, digest=digest)
        choice = choose(wish, candidates, purpose)
        if not choice.order:
            raise _nobody(asked.model, choice, candidates)
        attempts = purpose.attempts if purpose is not None else max(1, len(choice.order))
        by_name = {model.name: model for model in models}
        chosen = tuple(by_name[each] for each in choice.names[:attempts])
        document = write_question(wish, candidates, purpose) if len(candidates) > 1 or purpose is not None else None
        return _route(chosen, purpose, asked, document)

    def _only(self, model: Model, asked: Asked, facts: OrganizationFacts) -> Route:
        """Return the route to a model that was named and has no fallback; raise Unavailable while its server fails."""
        health = self._states.look(facts.id, model, input_tokens=asked.input_tokens_max // BYTES_PER_TOKEN)
        if dialect_for(asked.dialect, model.dialects) is None:
            detail = f"model `{model.name}` does not answer {asked.dialect} requests, nor is one translated for it"
            raise InvalidRequest(detail, errors=[FieldError("/model", detail)])
        if health.open or health.room:
            why = health.open or health.room
            raise _not_now(f"model `{model.name}` cannot be asked at the moment: {why}", [health])
        return Route((model,), input_bound(asked, model))

    async def names(self, principal: Principal) -> list[str]:
        """Return the names that a principal may ask for: models, then purposes as `purpose:NAME`, then `auto`."""
        facts = await self._facts.of(principal.organization_id)
        act = Act(principal, ActKind.MODEL, "", {})
        allowed = {model.name for model in await self.permitted(act, list(facts.models.values()), facts)}
        purposes = [
            PURPOSE + purpose.name for purpose in facts.purposes.values() if allowed.intersection(purpose.models)
        ]
        return [*sorted(allowed), *sorted(purposes), *([AUTO] if allowed else [])]

    async def _allowed(
        self, act: Act, models: list[Model], facts: OrganizationFacts
    ) -> tuple[list[Model], dict[str, str]]:
        """Return the models that a choice looks at, with why policy bars some of them.

        Where it allows none there is one: the first that a person may allow, else the first, so that the gate says why.
        """
        decisions = {model.name: await self._judged(act, model, facts) for model in models}
        barred = {name: _why_barred(each) for name, each in decisions.items() if each.outcome is not Outcome.ALLOW}
        if len(barred) < len(models):
            return models, barred
        asks = (model for model in models if decisions[model.name].outcome is Outcome.ESCALATE)
        return [next(asks, models[0])], {}

    async def permitted(self, act: Act, models: Sequence[Model], facts: OrganizationFacts) -> list[Model]:
        """Return those of `models` that policy allows the act to ask."""
        return [model for model in models if (await self._judged(act, model, facts)).outcome is Outcome.ALLOW]

    async def _judged(self, act: Act, model: Model, facts: OrganizationFacts) -> Decision:
        ask = ModelAsk((model.name,), asked=act.name, input_tokens_max=0)
        return await self._gate.judge(replace(act, name=model.name, model=ask), facts, approved={})


def _candidates(name: str, facts: OrganizationFacts) -> tuple[list[Model], Purpose | None, str]:
    """Return who may answer under a name, the purpose that it stands for, and that purpose's name (or `auto`)."""
    if name.startswith(PURPOSE):
        wanted = name.removeprefix(PURPOSE)
        purpose = facts.purposes.get(wanted)
        found = [facts.models[each] for each in purpose.models if each in facts.models] if purpose is not None else []
        if not found:
            there = ", ".join(sorted(facts.purposes)) or "none"
            raise _unknown(f"there is no purpose `{wanted[:80]}` with a model; there are: {there}")
        return found, purpose, wanted
    if name == AUTO:
        if not facts.models:
            raise _unknown("the organization has no model: register one")
        return list(facts.models.values()), None, AUTO
    model = facts.models.get(name)
    if model is None:
        raise _unknown(f"there is no model `{name[:80]}`: `GET /v1/models` lists those you may ask")
    return [model, *(facts.models[each] for each in model.fallbacks if each in facts.models)], None, ""


def _translatable(models: list[Model], asked: Asked, body: bytes) -> list[Model]:
    """Return the models that a request can be brought to and that bound what it costs; raise InvalidRequest where that is none.

    What cannot be carried over is known before anything is held or sent.
    """
    found, refused = [], None
    carried: dict[Dialect, InvalidRequest | None] = {}
    for model in models:
        if asked.beyond_body and not model.context_tokens and not all(is_free(price) for price in model.prices):
            refused = _unbounded(model)
            continue
        dialect = dialect_for(asked.dialect, model.dialects)
        if dialect is not None and dialect is not asked.dialect:
            if dialect not in carried:
                carried[dialect] = _why_not_carried(asked, body, model)
            if carried[dialect] is not None:
                refused = carried[dialect]
                continue
        found.append(model)
    if refused is not None and not found:
        raise refused
    return found


def _unbounded(model: Model) -> InvalidRequest:
    detail = (
        f"the request brings input that its body does not show, and nobody said how much model `{model.name}` reads: "
        "have its `context` registered"
    )
    return InvalidRequest(detail, errors=[FieldError("/model", detail)])


def _why_not_carried(asked: Asked, body: bytes, model: Model) -> InvalidRequest | None:
    try:
        prepared(asked, body, model, output_limit=None)
    except InvalidRequest as error:
        return error
    return None


def _why_barred(decision: Decision) -> str:
    """Name the rules that keep a caller from a model."""
    rules = ", ".join(f"`{each.id}`" for each in decision.matched if each.outcome is decision.outcome)
    if decision.outcome is Outcome.ESCALATE:
        return f"it waits for a person, by {rules}"
    return f"policy denies it, by {rules}" if rules else "no policy allows it"


def _not_now(detail: str, healths: Sequence[Health], reasons: tuple[str, ...] = ()) -> AosError:
    """Return the refusal of what can be asked again later: 429 where only providers' rate limits are in the way."""
    waits = [each for each in healths if each.open or each.room]
    soonest = math.ceil(max(min(each.again_seconds for each in waits), 1))
    kind = Unavailable if any(each.open for each in waits) else RateLimited
    return kind(detail, reasons=reasons, extra={"retry_after_seconds": soonest})


def _unknown(detail: str) -> NotFound:
    return NotFound(detail, errors=[FieldError("/model", detail)])


def _nobody(name: str, choice: Choice, candidates: Sequence[Candidate]) -> AosError:
    """Return why nobody can answer: for now where servers fail or have no room, for good otherwise."""
    reasons = tuple(f"{each.name}: {each.reason}" for each in choice.rejected)
    detail = f"no model can answer for `{name[:80]}`: {'; '.join(reasons)}"
    waiting = [each.health for each in candidates if not each.barred and (each.health.open or each.health.room)]
    if waiting:
        return _not_now(detail, waiting, reasons)
    return InvalidRequest(detail, errors=[FieldError("/model", detail)], reasons=reasons)


def _route(models: tuple[Model, ...], purpose: Purpose | None, asked: Asked, document: Json) -> Route:
    bound = max(input_bound(asked, model) for model in models)
    if purpose is None or asked.dialect in (Dialect.EMBEDDINGS, Dialect.COUNT_TOKENS):
        cached = purpose.cache_seconds if purpose is not None else 0
        return Route(models, bound, cache_seconds=cached, document=document)
    checks = () if asked.stream else purpose.cascade
    hedge = purpose.hedge_after_ms / 1000 if purpose.hedge_after_ms is not None and not checks else None
    at_most = len(models) if checks else min(2, len(models)) if hedge is not None else 1
    return Route(models, bound, at_most, checks, hedge, purpose.cache_seconds, document)


def input_bound(asked: Asked, model: Model) -> int:
    """Return how many input tokens a request has at most for a model; its context where the body does not show all of it."""
    dialect = dialect_for(asked.dialect, model.dialects) or asked.dialect
    bound = bound_input(asked, dialect)
    return max(bound, model.context_tokens) if asked.beyond_body else bound


def _cost_bound(model: Model, asked: Asked, facts: OrganizationFacts, clock: FactsCache) -> int:
    """Return what a request may cost with a model, in nanos of the organization's currency; what has no rate counts as most."""
    ask = ModelAsk((model.name,), asked.model, input_bound(asked, model), choices=asked.choices)
    limit = asked.output_limit if asked.output_limit is not None else model.output_tokens_max
    try:
        return bound_price((model,), ask, limit, settings=facts.settings, on=clock.now().date()).nanos
    except BudgetSpent:
        return 2**62
