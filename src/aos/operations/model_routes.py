"""Which models may answer a request, in which order, and why: the candidates of a name, a purpose or `auto`.

Every candidate is decided on by policy before it is asked; one that would be refused or has to wait for a person is left out
while another is allowed. The choice is the kernel's; what it was made of is kept with the decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from aos.kernel.acts import Act, ModelAsk
from aos.kernel.dialects.values import Asked
from aos.kernel.errors import FieldError, InvalidRequest, NotFound
from aos.kernel.identity import Principal
from aos.kernel.json import Json
from aos.kernel.models.values import CascadeCheck, Model, Purpose
from aos.kernel.policy.values import Outcome
from aos.operations.facts import FactsCache, OrganizationFacts
from aos.operations.gate import Gate
from aos.operations.model_answers import upstream_dialect
from aos.operations.model_health import ModelHealth

PURPOSE = "purpose:"
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Route:
    """The models that may answer, the first first; `checks` are what a lighter one's answer must pass."""

    models: tuple[Model, ...]
    at_most: int = 1
    checks: tuple[CascadeCheck, ...] = ()
    document: Json = None

    def after(self, model: Model) -> tuple[Model, ...]:
        """Return who is asked next where an answer of `model` does not pass, nobody where there are no checks."""
        return self.models[self.models.index(model) + 1 :] if self.checks else ()


class Router:
    """Chooses models for requests in one process."""

    def __init__(self, gate: Gate, facts: FactsCache, health: ModelHealth) -> None:
        self._gate = gate
        self._facts = facts
        self._health = health

    async def route(self, act: Act, asked: Asked, facts: OrganizationFacts, *, body: bytes, digest: str) -> Route:
        """Return the models that may answer.

        Raises NotFound for a name that stands for none, and InvalidRequest where none of them can do what is asked.
        """
        candidates, purpose = _candidates(asked.model, facts)
        able = [model for model in candidates if upstream_dialect(model, asked.dialect) is not None]
        if not able:
            said = "not found" if not candidates else f"does not answer {asked.dialect} requests"
            detail = f"model `{asked.model[:80]}` {said}"
            raise InvalidRequest(detail, errors=[FieldError("/model", detail)])
        if len(able) == 1:
            return Route((able[0],))
        allowed = await self._allowed(act, able, facts)
        return Route(tuple(allowed))

    async def names(self, principal: Principal) -> list[str]:
        """Return the names that a principal may ask for: models, then purposes."""
        facts = await self._facts.of(principal.organization_id)
        return sorted(facts.models)

    async def _allowed(self, act: Act, models: Sequence[Model], facts: OrganizationFacts) -> list[Model]:
        """Return the models that policy allows; the first of all where it allows none, so that the gate says why."""
        found = []
        for model in models:
            ask = ModelAsk((model.name,), asked=act.name, input_tokens_max=0)
            decision = await self._gate.judge(replace(act, name=model.name, model=ask), facts, approved={})
            if decision.outcome is Outcome.ALLOW:
                found.append(model)
        return found or [models[0]]


def _candidates(name: str, facts: OrganizationFacts) -> tuple[list[Model], Purpose | None]:
    if name.startswith(PURPOSE):
        purpose = facts.purposes.get(name.removeprefix(PURPOSE))
        if purpose is None:
            detail = f"there is no purpose `{name.removeprefix(PURPOSE)[:80]}`"
            raise NotFound(detail, errors=[FieldError("/model", detail)])
        return [facts.models[each] for each in purpose.models if each in facts.models], purpose
    if name == AUTO:
        return list(facts.models.values()), None
    model = facts.models.get(name)
    if model is None:
        detail = f"there is no model `{name[:80]}`: `GET /v1/models` lists those you may ask"
        raise NotFound(detail, errors=[FieldError("/model", detail)])
    return [model, *(facts.models[each] for each in model.fallbacks if each in facts.models)], None
