"""How an organization and the installation stand now: what the head of every page of the console says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aos.kernel.people import Actor
from aos.store.cold.connection import run_sql, tenant

PROCESS_SILENT_SECONDS: Final = 20
"""A process that was not heard of for this long counts as gone: it says every few seconds that it lives."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The database's time, what waits for a person, and whether the gate was seen to refuse.

    `governed` is None where no process was heard of lately; `failures` are the canary acts that were not refused.
    """

    now: datetime
    environment: str
    currency: str
    timezone: str
    approvals_pending: int
    processes: int
    governed: bool | None
    failures: tuple[str, ...]


def load_standing(actor: Actor) -> Standing:
    """Return how the actor's organization stands now."""
    params = {"organization_id": actor.organization_id, "seconds": PROCESS_SILENT_SECONDS}
    with tenant(actor.organization_id):
        (row,) = run_sql("load_standing", params)
    processes = row["processes"]
    return Standing(
        now=row["now"],
        environment=row["environment"],
        currency=row["currency"],
        timezone=row["timezone"],
        approvals_pending=row["approvals"],
        processes=len(processes),
        governed=all(each["governed"] for each in processes) if processes else None,
        failures=tuple(dict.fromkeys(failure for each in processes for failure in each["failures"])),
    )
