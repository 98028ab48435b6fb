"""How a process on an event loop learns that it shall end: one event, set by SIGTERM or SIGINT; the second may end it at once."""

from __future__ import annotations

import asyncio
import os
import signal


def asked_to_end(*, insist: bool = False) -> asyncio.Event:
    """Return an event that is set when the process is asked to end; call it on the running loop of the main thread.

    With `insist` a second signal ends the process on the spot, as a killed one ends. Not for a process of `aos up`: a
    terminal's Ctrl-C reaches it beside the word of its supervisor, which itself knows when to insist.
    """
    event = asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask(number: int) -> None:
        if insist and event.is_set():
            os._exit(128 + number)
        event.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask, number)
    return event
