"""How many database connections each kind of process may hold, and the check of their sum before anything starts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aos.kernel.errors import Misconfigured

COMMANDS_MAX: Final = 4
"""Connections that boot itself and short commands (`aos status`, `aos doctor`) may hold beside the processes."""


class Kind(StrEnum):
    """The kinds of process that `aos up` starts."""

    CONTROL_PLANE = "control-plane"
    DATA_PLANE = "data-plane"
    WORKER = "worker"
    LOCAL_MODEL = "local-model"
    GRPC = "grpc"


OPTIONAL: Final = frozenset({Kind.LOCAL_MODEL})
"""Kinds that AOS is ready and governed without: they hold nothing up, decide nothing, and touch no database."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one process of a kind may hold: its two hot pools, its cold pool, and what lasts as long as a session."""

    app: int
    machine: int
    cold: int = 0
    listening: int = 1

    @property
    def total(self) -> int:
        """Return the sum."""
        return self.app + self.machine + self.cold + self.listening


SHARES: Final = {
    Kind.CONTROL_PLANE: Share(app=2, machine=3, cold=6),
    Kind.DATA_PLANE: Share(app=4, machine=6),
    Kind.WORKER: Share(app=4, machine=8, listening=2),  # one of them may tell the others of tasks
    Kind.LOCAL_MODEL: Share(app=0, machine=0, listening=0),
    Kind.GRPC: Share(app=2, machine=5),
}


def check_connections(processes: dict[Kind, int], *, available: int) -> int:
    """Return the most connections these processes can hold together.

    Raises Misconfigured, with the sum, where the server has fewer for logins that are no superuser's.
    """
    needed = COMMANDS_MAX + sum(SHARES[kind].total * count for kind, count in processes.items())
    if needed > available:
        parts = [
            f"{count} {kind.value} x {SHARES[kind].total}"
            for kind, count in processes.items()
            if count and SHARES[kind].total
        ]
        raise Misconfigured(
            f"the processes may hold {needed} database connections together ({', '.join(parts)}, commands "
            f"{COMMANDS_MAX}), the server gives {available}: raise its max_connections, or lower AOS_WORKERS or AOS_DATA_PLANES"
        )
    return needed
