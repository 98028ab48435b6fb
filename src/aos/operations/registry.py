"""What one organization's registry holds, as the manifest's own values with the ids that they are stored under.

Read in one statement and held for one transaction. Whoever writes keeps `entries` true, so that what follows in the same
transaction finds what was just made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from aos.kernel.agents import Agent, AgentStatus
from aos.kernel.errors import NotFound
from aos.kernel.manifest.values import (
    AgentSpec,
    BudgetSpec,
    DepartmentSpec,
    Manifest,
    OrganizationSpec,
    PersonSpec,
    ToolSpec,
    WorkflowSpec,
)
from aos.kernel.money import Money, convert
from aos.kernel.policy.values import Rule
from aos.kernel.specs import rule_from
from aos.kernel.tools import Tool
from aos.store.cold.connection import run_sql


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a registered thing stands: its id, its newest version, and whether it is retired. People count as version 0."""

    id: UUID
    version: int = 0
    retired: bool = False
    status: str = ""


@dataclass(slots=True)
class Registry:
    """The registry: `manifest` is what is in force, `entries` everything ever registered, by kind and name."""

    organization_id: UUID
    manifest: Manifest
    entries: dict[tuple[str, str], Entry] = field(default_factory=dict)
    drafts: Mapping[str, Rule] = field(default_factory=dict)
    active_versions: Mapping[str, int] = field(default_factory=dict)

    def find(self, kind: str, name: str) -> Entry | None:
        """Return the entry of this name, retired or not."""
        return self.entries.get((kind, name))

    def get(self, kind: str, key: str) -> tuple[str, Entry]:
        """Return name and entry of a thing by name or UUID; raise NotFound."""
        entry = self.entries.get((kind, key))
        if entry is not None:
            return key, entry
        for (found_kind, name), found in self.entries.items():
            if found_kind == kind and str(found.id) == key.lower():
                return name, found
        raise NotFound(f"there is no {kind} `{key[:80]}`")

    def tools(self) -> tuple[Tool, ...]:
        """Return the tools in force as the kernel's own values."""
        return tuple(tool_of(spec, self.entries["tool", spec.name]) for spec in self.manifest.tools)

    def agents(self) -> tuple[Agent, ...]:
        """Return the agents in force as the kernel's own values."""
        return tuple(self.agent_of(spec) for spec in self.manifest.agents)

    def agent_of(self, spec: AgentSpec, entry: Entry | None = None) -> Agent:
        """Return the kernel's value of an agent."""
        entry = entry or self.entries["agent", spec.name]
        department = self.find("department", spec.department) if spec.department else None
        return Agent(
            id=entry.id,
            name=spec.name,
            version=entry.version,
            type=spec.type,
            status=AgentStatus(entry.status or "running"),
            department_id=department.id if department else None,
            department=spec.department,
            owner=spec.owner,
            goal=spec.goal,
            runtime=spec.runtime,
            tools=spec.tools,
            models=spec.models,
            delegates=spec.delegates,
            roles=spec.roles,
            permissions=spec.permissions,
            risk=spec.risk,
            price_per_second_nanos=self._own_nanos(spec.price_per_second),
            objectives=spec.objectives,
        )

    def _own_nanos(self, price: Money | None) -> int:
        """Return a price in nanos of the organization's currency; the manifest's check has seen to the rate."""
        settings = self.manifest.organization
        if price is None or price.currency == settings.currency:
            return price.nanos if price else 0
        rate = dict(settings.rates or ())[price.currency]
        return convert(price, to=settings.currency or price.currency, rate_nanos=rate).nanos


def tool_of(spec: ToolSpec, entry: Entry) -> Tool:
    """Return the kernel's value of a tool."""
    plain = {name: getattr(spec, name) for name in spec.__dataclass_fields__}
    return Tool(id=entry.id, version=entry.version, **plain)


def read_registry(organization_id: UUID) -> Registry:
    """Return the organization's registry; a transaction of the organization is open."""
    (row,) = run_sql("load_registry", {"organization_id": organization_id})
    entries: dict[tuple[str, str], Entry] = {}
    for kind, column, key in _KINDS:
        for item in row[column]:
            entries[kind, item[key]] = Entry(
                UUID(item["id"]), item.get("version", 0), item.get("retired", False), item.get("status", "")
            )
    manifest = Manifest(
        organization=_organization(row),
        departments=_specs(row["departments"], DepartmentSpec),
        people=_specs(row["people"], PersonSpec, key="email"),
        tools=_specs(row["tools"], ToolSpec),
        agents=_specs(row["agents"], AgentSpec),
        policies=tuple(
            rule_from(item["active_spec"], item["active_version"])
            for item in sorted(row["policies"], key=lambda each: str(each["name"]))
            if item["active_version"] is not None and not item["retired"]
        ),
        budgets=_specs([{**each, "id": each["name"]} for each in row["budgets"]], BudgetSpec, key="id"),
        workflows=_specs(row["workflows"], WorkflowSpec),
    )
    drafts = {
        item["name"]: rule_from(item["spec"], item["version"])
        for item in row["policies"]
        if item["state"] == "draft" and not item["retired"]
    }
    active = {item["name"]: item["active_version"] for item in row["policies"] if item["active_version"] is not None}
    return Registry(organization_id, manifest, entries, drafts, active)


_KINDS = (
    ("department", "departments", "name"),
    ("person", "people", "email"),
    ("tool", "tools", "name"),
    ("agent", "agents", "name"),
    ("policy", "policies", "name"),
    ("budget", "budgets", "name"),
    ("workflow", "workflows", "name"),
)


def _specs(items: Iterable[Mapping[str, Any]], spec: type[Any], *, key: str = "name") -> tuple[Any, ...]:
    """Return what is in force of one kind as specs, by name: a row's columns beside what its version holds."""
    live = sorted((item for item in items if not item.get("retired")), key=lambda item: str(item[key]))
    return tuple(msgspec.convert({**(item.get("spec") or {}), **item}, spec) for item in live)


def _organization(row: Mapping[str, Any]) -> OrganizationSpec:
    settings = row["settings"]
    return OrganizationSpec(
        name=row["name"],
        currency=settings["currency"],
        timezone=settings["timezone"],
        environment=settings["environment"],
        rates=tuple(sorted((code, int(rate["nanos"])) for code, rate in settings["rates"].items())),
        run_clock=settings["run_clock_allowed"],
    )
