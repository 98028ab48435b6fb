"""The beat of one process: its row in the table of processes, written every few seconds and removed at its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from importlib.metadata import version
from typing import Final

from psycopg.types.json import Jsonb

from aos.boot.plan import Plan, Ready
from aos.drivers.ids import StandardIds
from aos.kernel.errors import AosError
from aos.store.hot.database import Database

BEAT_SECONDS: Final = 5.0
_FAREWELL_SECONDS: Final = 1.0

log = logging.getLogger("aos.boot")


async def beat(database: Database, plan: Plan, ready: Ready, *, pid: int) -> None:
    """Say every few seconds that the process lives, until cancelled; then say that it does not.

    `pid` is the one that the supervisor knows it by. A beat that the database does not take is left out.
    """
    row = {
        "id": StandardIds().new(),
        "kind": plan.kind.value,
        "host": socket.gethostname(),
        "pid": pid,
        "version": version("aos"),
        "governed": ready.governed,
        "detail": Jsonb({"name": plan.name, "failures": list(ready.failures)}),
    }
    try:
        while True:
            try:
                async with database.machine() as transaction:
                    await transaction.run("save_process", row)
            except AosError as error:
                log.debug("the beat was lost: %s", error.detail)
            await asyncio.sleep(BEAT_SECONDS)
    finally:
        with contextlib.suppress(AosError, TimeoutError):
            async with asyncio.timeout(_FAREWELL_SECONDS), database.machine() as transaction:
                await transaction.run("remove_process", {"id": row["id"]})
