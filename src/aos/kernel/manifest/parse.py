"""Reads a manifest: the schema first, then each part into its value, then what the parts say of each other.

All problems are gathered, not only the first: a part that the schema refuses is left out of the later checks, while its
name still counts, so that one mistake is reported once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, TypeVar

from aos.kernel.errors import FieldError, InvalidManifest
from aos.kernel.json import Json, depth
from aos.kernel.manifest.mcp_servers import read_mcp_server
from aos.kernel.manifest.models import read_model, read_purpose
from aos.kernel.manifest.parts import (
    Fields,
    Part,
    read_agent,
    read_budget,
    read_department,
    read_organization,
    read_own_budget,
    read_person,
    read_policy,
    read_queue,
    read_tool,
)
from aos.kernel.manifest.references import Names, check_references
from aos.kernel.manifest.schema import manifest_schema
from aos.kernel.manifest.starts import read_hook, read_schedule
from aos.kernel.manifest.values import BudgetSpec, Manifest, OrganizationSpec
from aos.kernel.manifest.workflows import read_workflow
from aos.kernel.models import catalogue
from aos.kernel.models.purposes import PURPOSES
from aos.kernel.schema import check, pointer
from aos.kernel.workflow.lanes import DEFAULT_QUEUE

Value = TypeVar("Value")

PROBLEMS_MAX: Final = 100
"""How many problems one answer names."""

USUAL_CURRENCY: Final = "EUR"
"""In which what is free costs nothing, as long as no organization is known."""

DEPTH_MAX: Final = 64
"""How deeply a manifest may nest."""


def parse_manifest(document: Json, known: Manifest | None = None) -> Manifest:
    """Return what the manifest says; `known` holds what already exists and may be referred to.

    Raises InvalidManifest with a pointer for every problem found, at most `PROBLEMS_MAX`. Conditions are not compiled.
    """
    if depth(document, at_most=DEPTH_MAX) > DEPTH_MAX:
        raise refuse_manifest([FieldError("", f"a manifest nests at most {DEPTH_MAX} deep")])
    existing = known or Manifest()
    reading = _Reading(document, existing.organization.currency)
    manifest = reading.manifest()
    problems = [*reading.problems, *check_references(manifest, reading.names(existing), existing)]
    if problems:
        raise refuse_manifest(problems)
    return manifest


def refuse_manifest(problems: list[FieldError]) -> InvalidManifest:
    """Return the error for these problems, named by the first of them."""
    first = problems[0]
    more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
    return InvalidManifest(f"{first.detail}, at `{first.pointer or '/'}`{more}", errors=problems[:PROBLEMS_MAX])


def part_of(place: str) -> tuple[str, str]:
    """Return the first two names of a pointer: the kind and the part that it lies in."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in place.split("/")[1:3]]
    kind, name = [*steps, "", ""][:2]
    return kind, name


class _Reading:
    """One reading of one document; `problems` grows, `places` learns where each part stands."""

    def __init__(self, document: Json, currency: str | None) -> None:
        self.problems = check(document, manifest_schema())
        self.places: dict[tuple[str, str], str] = {}
        self._document: Fields = document if isinstance(document, dict) else {}
        self._broken = {part_of(problem.pointer) for problem in self.problems}
        said = self._map("organization").get("currency")
        self._currency = said if isinstance(said, str) else currency or USUAL_CURRENCY

    def manifest(self) -> Manifest:
        """Return the sound parts of the document as values, each kind in the order of its names."""
        organization = self._map("organization")
        whole = not any(kind == "organization" for kind, _ in self._broken)
        return Manifest(
            organization=read_organization(Part(organization, "/organization", self.problems))
            if whole
            else OrganizationSpec(),
            departments=self._read("departments", read_department),
            queues=self._read("queues", read_queue),
            people=self._read("people", read_person, key="email"),
            tools=self._read("tools", read_tool),
            models=self._read("models", partial(read_model, currency=self._currency)),
            purposes=self._read("purposes", read_purpose),
            agents=self._read("agents", read_agent),
            policies=self._read("policies", read_policy, key="id"),
            budgets=self._budgets(),
            workflows=self._read("workflows", read_workflow),
            schedules=self._read("schedules", read_schedule),
            hooks=self._read("hooks", read_hook),
            mcp_servers=self._read("mcp_servers", read_mcp_server),
        )

    def names(self, known: Manifest) -> Names:
        """Return the names of what the document or `known` holds, broken parts included."""
        every = {
            "departments": {*self._map("departments"), *(each.name for each in known.departments)},
            "queues": {DEFAULT_QUEUE, *self._map("queues"), *(each.name for each in known.queues)},
            "tools": {*self._map("tools"), *(each.name for each in known.tools)},
            "models": {*self._map("models"), *(each.name for each in known.models), *catalogue.names()},
            "purposes": {*self._map("purposes"), *(each.name for each in known.purposes), *PURPOSES},
            "agents": {*self._map("agents"), *(each.name for each in known.agents)},
            "workflows": {*self._map("workflows"), *(each.name for each in known.workflows)},
            "mcp_servers": {*self._map("mcp_servers"), *(each.name for each in known.mcp_servers)},
        }
        every["runnable"] = every["agents"] | every["workflows"]
        return Names(every, self.places)

    def _map(self, kind: str) -> Fields:
        found = self._document.get(kind)
        return found if isinstance(found, dict) else {}

    def _parts(self, kind: str, key: str) -> Iterator[tuple[str, Part]]:
        """Yield the parts of a kind that the schema passed, by name; note a list's names that stand twice."""
        found = self._document.get(kind)
        members = dict(enumerate(found)) if isinstance(found, list) else found if isinstance(found, dict) else {}
        for place, fields in members.items():
            if (kind, str(place)) in self._broken or (kind, "") in self._broken:
                continue
            part = Part(fields if isinstance(fields, dict) else {}, pointer(f"/{kind}", place), self.problems)
            name = part.text(key).lower() if key else str(place)
            if self.places.setdefault((kind, name), part.at) != part.at:
                part.note(key, f"`{name}` stands here twice")
            else:
                yield name, part

    def _read(self, kind: str, read: Callable[[str, Part], Value], *, key: str = "") -> tuple[Value, ...]:
        parts = sorted(self._parts(kind, key), key=lambda each: each[0])
        return tuple(read(name, part) for name, part in parts)

    def _budgets(self) -> tuple[BudgetSpec, ...]:
        """Return the budgets and those that agents carry."""
        budgets = {budget.id: budget for budget in self._read("budgets", read_budget, key="id")}
        for name, fields in self._map("agents").items():
            if isinstance(fields, dict) and "budget" in fields and ("agents", name) not in self._broken:
                part = Part(fields, pointer("/agents", name), self.problems).sub("budget")
                own = read_own_budget(name, part)
                if own.id in budgets:
                    part.note("", f"budget `{own.id}` stands under `budgets` as well")
                budgets[own.id] = own
                self.places["budgets", own.id] = part.at
        return tuple(budgets[id] for id in sorted(budgets))
