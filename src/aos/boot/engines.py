"""The engine that the settings name, with what it needs besides Postgres; Celery is loaded only where it is asked for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from aos.boot.broker import CELERY
from aos.boot.config import Config
from aos.operations.dispatch import Dispatch
from aos.operations.orchestration import Orchestration
from aos.workers.dispatch import DispatchDuty
from aos.workers.offers import OFFER_SECONDS, Offered, OfferedEngine
from aos.workers.worker import Told

if TYPE_CHECKING:
    from aos.drivers.celery_queue import CeleryReceiver

_ANSWER_SECONDS: Final = OFFER_SECONDS + 9.0
"""How long a thread waits for the loop: past it the message goes back."""
_STOP_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class OpenEngine:
    """One process's engine; `told` and `receiver` are None where tasks are claimed in turn."""

    told: Told | None = None
    receiver: CeleryReceiver | None = None

    def start(self) -> None:
        """Begin to receive messages, where there are any."""
        if self.receiver is not None:
            self.receiver.start()

    async def stop(self) -> None:
        """Receive nothing more."""
        if self.receiver is not None:
            await self.receiver.stop(_STOP_SECONDS)


def open_engine(config: Config, broker: str, do: Orchestration) -> OpenEngine:
    """Return the engine of this process; call it on the running loop."""
    if config.engine != CELERY:
        return OpenEngine()
    from aos.drivers.celery_queue import CeleryMessages, CeleryReceiver, CelerySettings

    settings = CelerySettings(broker, config.celery_queue, config.celery_visibility_seconds)
    engine, loop = OfferedEngine(do.tasks), asyncio.get_running_loop()

    def on_named(organization_id: UUID, task_id: UUID) -> bool:
        """Ask the loop, from a thread of Celery's."""
        offer = asyncio.run_coroutine_threadsafe(engine.offer(organization_id, task_id), loop)
        try:
            return offer.result(_ANSWER_SECONDS) is not Offered.PUT_OFF
        except TimeoutError:
            offer.cancel()
            return False

    dispatch = DispatchDuty(Dispatch(do.database), CeleryMessages(settings), do.drivers.ticker)
    return OpenEngine(Told(engine, dispatch), CeleryReceiver(settings, on_named))
