"""`python -m aos.boot.process KIND PARENT READY_FD`: one process of AOS, from its imports to its end.

It imports what its kind needs while the database still starts, then reads its plan from standard input and serves.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from aos.boot.config import Config, read_config
from aos.boot.connections import Kind
from aos.boot.own_process import close_to_others, end_with
from aos.boot.plan import Plan, ReadySignal, decode_plan
from aos.kernel.errors import AosError
from aos.telemetry.logs import configure_logging

MODULES: Final = {
    Kind.CONTROL_PLANE: "aos.boot.control_plane",
    Kind.DATA_PLANE: "aos.boot.data_plane",
    Kind.WORKER: "aos.boot.worker",
    Kind.LOCAL_MODEL: "aos.boot.local_model",
    Kind.GRPC: "aos.boot.grpc",
}
_FAILED: Final = 1


def main(arguments: list[str]) -> int:
    """Run one process until it is asked to end; return its exit status."""
    kind, parent, ready = Kind(arguments[0]), int(arguments[1]), int(arguments[2])
    end_with(parent)
    close_to_others()
    config = read_config(os.environ)
    serve: Callable[[Plan, Config, ReadySignal], None] = importlib.import_module(MODULES[kind]).serve
    content = sys.stdin.buffer.read()
    if not content:
        return 0  # the supervisor ended before there was anything to serve
    plan = decode_plan(content)
    configure_logging(
        level=config.log_level, form=config.log_format, process=plan.name, file=Path(plan.log) if plan.log else None
    )
    log = logging.getLogger("aos.boot")
    try:
        serve(plan, config, ReadySignal(ready))
    except AosError as error:
        log.critical("%s: %s", error.title, error.detail, exc_info=config.debug)
        return _FAILED
    except Exception:
        log.critical("the process ends because of an error", exc_info=True)
        return _FAILED
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
