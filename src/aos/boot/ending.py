"""How a process on an event loop learns that it shall end: one event, set by SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import signal


def asked_to_end() -> asyncio.Event:
    """Return an event that is set when the process is asked to end; call it on the running loop of the main thread."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, event.set)
    return event
