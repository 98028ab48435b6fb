"""How models' servers do, as this process has seen: who may be asked, how fast they answer, what they have room for."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from aos.kernel.models.values import Model
from aos.kernel.ports import Ticker


class ModelHealth:
    """The health of every model that this process has asked."""

    def __init__(self, ticker: Ticker) -> None:
        self._ticker = ticker

    def begin(self, organization_id: UUID, model: Model) -> float:
        return self._ticker.seconds()

    def failed(self, organization_id: UUID, model: Model) -> None:
        pass

    def let_go(self, organization_id: UUID, model: Model) -> None:
        pass

    def heard(
        self, organization_id: UUID, model: Model, status: int, headers: Mapping[str, str], *, began: float
    ) -> None:
        pass

    def may_retry(self, organization_id: UUID, status: int, headers: Mapping[str, str], *, again: int) -> float | None:
        return None
