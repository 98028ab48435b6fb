"""The process of the local model: its engine loaded, its door on the socket that the supervisor opened.

It runs at a lower priority than everything else: a model that computes does not slow the gate.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Generator
from typing import Final

import uvicorn

from aos.boot.config import Config
from aos.boot.ending import asked_to_end
from aos.boot.plan import Plan, Ready, ReadySignal
from aos.data_plane.connections import Limits, serving_config
from aos.drivers.local_model.door import WAITING_MAX, Door
from aos.drivers.local_model.engine import SLOTS, Engine, find_model
from aos.kernel.errors import Misconfigured

DRAIN_SECONDS: Final = 3
NICENESS: Final = 10

log = logging.getLogger("aos.boot")


def serve(plan: Plan, config: Config, signal: ReadySignal) -> None:
    """Serve until asked to end. Raises Misconfigured where the model is not installed."""
    if plan.local_model is None:
        raise Misconfigured("the plan of the local model names no key")
    os.nice(NICENESS)
    # With a thread on every core each token waits for the one that somebody else's work holds up: a busy machine of two
    # cores makes 4 to 7 tokens a second with two threads, and 30 with one.
    engine = Engine(find_model(), threads=max(1, len(os.sched_getaffinity(0)) - 1))
    door = Door(engine, plan.local_model.key, slots=SLOTS)
    try:
        asyncio.run(_serve(plan, door, signal))
    finally:
        door.close()


async def _serve(plan: Plan, door: Door, signal: ReadySignal) -> None:
    ending = asked_to_end()
    server = _Server(door, signal)
    serving = asyncio.create_task(server.serve(sockets=[socket.socket(fileno=plan.listen_fd)]))
    await asyncio.wait([serving, asyncio.create_task(ending.wait())], return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    await serving


class _Server(uvicorn.Server):
    """Uvicorn without signal handlers of its own; it says when it serves."""

    def __init__(self, door: Door, signal: ReadySignal) -> None:
        # Who waits for a place needs a connection, and so does who is told that there is none.
        limits = Limits(connections_max=4 * (SLOTS + WAITING_MAX))
        super().__init__(serving_config(door, limits=limits, drain_seconds=DRAIN_SECONDS))
        self._signal = signal

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        self._signal.send(Ready())
        log.info("the local model serves")

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone."""
        yield
