"""An agent and its keyed tool for rounds of kills; the hosts import them by name.

Each thing is done by making one file, named by the thing and the key under which it was asked for: made once whoever asks
how often, and a second file for a thing is a thing done twice. A line in the log says when.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from pathlib import Path
from typing import Any

from aos_sdk import AsyncContext

DONE, LOG = "done", "log"
THINGS = 4
"""Things that one item is."""
THING_SECONDS = 0.08


async def does_things(ctx: AsyncContext) -> Any:
    """Do the things of one item, one after the other."""
    return [await ctx.tool("things.do", thing=f"{ctx.input}.{n}") for n in range(THINGS)]


async def ends(ctx: AsyncContext) -> Any:
    """Say how many items there were."""
    return len(ctx.input)


def do(*, thing: str, idempotency_key: str, folder: str) -> str:
    """Do a thing once under a key."""
    select.select([], [], [], THING_SECONDS)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(Path(folder) / DONE / f"{thing}~{idempotency_key}", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        log = os.open(Path(folder) / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(log, f"{time.time():.3f} {thing}\n".encode())
        os.close(log)
    return thing
