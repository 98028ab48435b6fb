"""How models' servers do, as this process has seen: who may be asked, how fast they answer, what they have room for.

It is kept in memory, one state for each model of an organization, the oldest forgotten first; a new process begins in good
faith. What decides is the kernel's; here are only the clocks and the states.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from aos.kernel.models.health import Health, ModelHealth
from aos.kernel.models.rates import learn_rates, retry_delay
from aos.kernel.models.values import Model
from aos.operations.drivers import Drivers
from aos.operations.facts import FactsCache

MODELS_KEPT_MAX: Final = 10_000
SERVER_ERROR: Final = 500


class ModelStates:
    """The states of every model that this process has asked."""

    def __init__(self, facts: FactsCache, drivers: Drivers) -> None:
        self._facts = facts
        self._ticker = drivers.ticker
        self._ids = drivers.ids
        self._states: OrderedDict[tuple[UUID, str], ModelHealth] = OrderedDict()

    def look(self, organization_id: UUID, model: Model, *, input_tokens: int) -> Health:
        """Return what a choice sees of a model's server."""
        state = self._states.get((organization_id, model.name))
        return Health() if state is None else state.look(input_tokens=input_tokens, now_seconds=self._ticker.seconds())

    def may_ask(self, organization_id: UUID, model: Model) -> bool:
        """Say whether a model may be asked now; a yes may make the call the probe of a server that failed."""
        return self._state(organization_id, model).ask(self._ticker.seconds())

    def heard(
        self, organization_id: UUID, model: Model, status: int, headers: Mapping[str, str], *, first_byte_seconds: float
    ) -> None:
        """Take in the head of an answer; a client's own mistake is no failure of the server."""
        state, now = self._state(organization_id, model), self._ticker.seconds()
        ok = status < SERVER_ERROR
        state.tell(ok, now_seconds=now, first_byte_ms=round(first_byte_seconds * 1000), cause=f"answered {status}")
        state.room = learn_rates(state.room, headers, status=status, now_seconds=now, now=self._facts.now())

    def failed(self, organization_id: UUID, model: Model, cause: str) -> None:
        """Take in that a server could not be reached, or cut its answer."""
        self._state(organization_id, model).tell(False, now_seconds=self._ticker.seconds(), cause=cause)

    def attempted(self, organization_id: UUID, model: Model) -> None:
        """Take in a first attempt, which earns a part of a retry."""
        self._state(organization_id, model).attempted()

    def retry_seconds(
        self, organization_id: UUID, model: Model, status: int, headers: Mapping[str, str], *, attempt: int
    ) -> float | None:
        """Return after how long the same model may be asked again, None where it may not; a retry is spent with a yes."""
        fraction = self._ids.random_bytes(1)[0] / 256
        delay = retry_delay(status, headers, attempt, fraction=fraction, now=self._facts.now())
        if delay is None or not self._state(organization_id, model).may_retry():
            return None
        return delay

    def _state(self, organization_id: UUID, model: Model) -> ModelHealth:
        key = (organization_id, model.name)
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = ModelHealth()
            while len(self._states) > MODELS_KEPT_MAX:
                self._states.popitem(last=False)
        return state
