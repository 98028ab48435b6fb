"""The shell around every page: where one is, who one is, what waits, and whether the gate is seen to refuse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from aos.console.assets import asset_address
from aos.console.states import Meaning, State
from aos.operations.sign_in import Membership, SignedIn
from aos.operations.standing import Standing


@dataclass(frozen=True, slots=True)
class Place:
    """One entry of the navigation; `letter` follows `g` on the keyboard."""

    name: str
    title: str
    address: str
    letter: str


PLACES: Final = (
    Place("fleet", "Fleet", "/console/fleet", "f"),
    Place("runs", "Runs", "/console/runs", "r"),
    Place("schedules", "Schedules", "/console/schedules", "s"),
    Place("approvals", "Approvals", "/console/approvals", "a"),
    Place("policies", "Policies", "/console/policies", "p"),
    Place("cost", "Cost", "/console/cost", "c"),
    Place("audit", "Audit", "/console/audit", "l"),
)


@dataclass(frozen=True, slots=True)
class Frame:
    """All that the shell shows; pages read the time and the query from it too."""

    place: str
    organization: Membership
    organizations: tuple[Membership, ...]
    environment: str
    currency: str
    person: str
    email: str
    initials: str
    roles: tuple[str, ...]
    governed: State
    governed_detail: str
    approvals_pending: int
    theme: str
    form_token: str
    address: str
    query: Mapping[str, str]
    now: datetime
    zone: ZoneInfo
    places: tuple[Place, ...] = PLACES

    @property
    def stylesheet(self) -> str:
        """Return the address of the stylesheet."""
        return asset_address("console.css")

    @property
    def script(self) -> str:
        """Return the address of the script."""
        return asset_address("console.js")

    @property
    def icon(self) -> str:
        """Return the address of the icon."""
        return asset_address("icon.svg")


def governed_state(standing: Standing) -> tuple[State, str]:
    """Return the badge and its reason: good only where every process saw its canary acts refused."""
    if standing.governed is None:
        return State(Meaning.UNKNOWN, "not heard of"), "no process of AOS was heard of lately: `aos status` says more"
    if not standing.governed:
        reason = standing.failures[0] if standing.failures else "a canary act was not refused"
        return State(Meaning.BAD, "not governed"), reason
    many = "process" if standing.processes == 1 else "processes"
    return State(Meaning.GOOD, "governed"), f"{standing.processes} {many} fired canary acts and saw each refused"


def initials_of(person: SignedIn) -> str:
    """Return two letters for a person."""
    words = (person.name or person.email).replace("@", " ").replace(".", " ").split()
    return "".join(word[0] for word in words[:2]).upper() or "?"
