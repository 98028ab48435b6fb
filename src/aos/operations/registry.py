"""What one organization's registry holds, as the manifest's own values with the ids that they are stored under.

Read in one statement and held for one transaction. Whoever writes keeps `entries` true, so that what follows in the same
transaction finds what was just made.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import msgspec

from aos.kernel.agents import Agent, AgentStatus
from aos.kernel.errors import Conflict, FieldError, NotFound, VersionRequired
from aos.kernel.hooks import HookSpec
from aos.kernel.manifest.values import (
    AgentSpec,
    BudgetSpec,
    DepartmentSpec,
    Manifest,
    McpServer,
    ModelSpec,
    OrganizationSpec,
    PersonSpec,
    Purpose,
    QueueSpec,
    ToolSpec,
    WorkflowSpec,
)
from aos.kernel.models.values import Model
from aos.kernel.money import Money, convert
from aos.kernel.policy.permissions import purposes_of
from aos.kernel.redaction import Capture
from aos.kernel.schedules import ScheduleSpec
from aos.kernel.specs import rule_from
from aos.kernel.tools import Tool
from aos.operations.contents import open_json
from aos.operations.data_keys import load_data_keys
from aos.operations.drivers import Drivers
from aos.store.cold.connection import run_sql


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a registered thing stands: its id, its version, whether it is retired. People count as version 0.

    Of agents, tools, models, purposes and workflows, `version` is the one in force, 0 where none is, and `draft` the newest that waits, 0 where
    none does. Of all else, `version` is the newest.
    """

    id: UUID
    version: int = 0
    retired: bool = False
    status: str = ""
    draft: int = 0

    @property
    def next(self) -> int:
        """Return the number of the version that is stored next."""
        return max(self.version, self.draft) + 1

    def waiting(self, what: str, version: int | None) -> int:
        """Return the number of the version that waits, which `version` must name.

        Raises Conflict where none waits, or another than `version`, VersionRequired where it is not named.
        """
        if not self.draft:
            raise Conflict(f"no version of {what} waits to be in force")
        if version is None:
            raise version_required(what, self.draft)
        if version != self.draft:
            raise Conflict(f"version {version} of {what} does not wait: {self.draft} does")
        return self.draft


def version_required(what: str, draft: int) -> VersionRequired:
    """Return the error for a draft that is to be accepted without being named."""
    return VersionRequired(
        f"`version` is missing: version {draft} of {what} waits; look at it, and name it",
        errors=[FieldError("/version", f"is required: version {draft} waits")],
        extra={"draft_version": draft},
    )


@dataclass(slots=True)
class Registry:
    """The registry: `manifest` is what is in force, `entries` everything ever registered, by kind and name.

    `drafts` holds what waits to be in force, by kind and name: an AgentSpec, a ToolSpec, a ModelSpec, a Purpose, an
    McpServer, a WorkflowSpec or a Rule. `secrets` are the names of the secrets that are set.
    """

    organization_id: UUID
    manifest: Manifest
    entries: dict[tuple[str, str], Entry] = field(default_factory=dict)
    drafts: Mapping[tuple[str, str], Any] = field(default_factory=dict)
    active_versions: Mapping[str, int] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()

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
        raise NotFound(f"there is no {_SPOKEN.get(kind, kind)} `{key[:80]}`")

    def known(self) -> Manifest:
        """Return what may be referred to: what is in force, and agents, tools, models, purposes and MCP servers that wait to be."""
        every: dict[str, Any] = {}
        for kind in ("agent", "tool", "model", "purpose", "mcp_server"):
            waiting = [spec for (each, _), spec in self.drafts.items() if each == kind]
            standing = getattr(self.manifest, f"{kind}s")
            every[f"{kind}s"] = tuple({spec.name: spec for spec in (*waiting, *standing)}.values())
        return replace(self.manifest, **every)

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
            queue=spec.queue,
            concurrency=spec.concurrency,
            purposes=purposes_of(spec.models, {each.name: each.models for each in self.manifest.purposes}),
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


def model_of(spec: ModelSpec, entry: Entry) -> Model:
    """Return the kernel's value of a model."""
    plain = {name: getattr(spec, name) for name in spec.__dataclass_fields__}
    return Model(id=entry.id, version=entry.version, **plain)


def read_registry(organization_id: UUID, drivers: Drivers | None = None) -> Registry:
    """Return the organization's registry; a transaction of the organization is open. Without drivers no input is opened."""
    (row,) = run_sql("load_registry", {"organization_id": organization_id})
    entries: dict[tuple[str, str], Entry] = {}
    for kind, column, key in _KINDS:
        for item in row[column]:
            entries[kind, item[key]] = Entry(
                UUID(item["id"]),
                item.get("version", 0),
                item.get("retired", False),
                item.get("status", ""),
                item.get("draft_version") or 0,
            )
    manifest = Manifest(
        organization=_organization(row),
        departments=_specs(row["departments"], DepartmentSpec),
        queues=_specs(row["queues"], QueueSpec),
        people=_specs(row["people"], PersonSpec, key="email"),
        tools=_specs(row["tools"], ToolSpec),
        models=_specs(row["models"], ModelSpec),
        purposes=_specs(row["purposes"], Purpose),
        agents=_specs(row["agents"], AgentSpec),
        policies=tuple(
            rule_from(item["active_spec"], item["active_version"])
            for item in sorted(row["policies"], key=lambda each: str(each["name"]))
            if item["active_version"] is not None and not item["retired"]
        ),
        budgets=_specs([{**each, "id": each["name"]} for each in row["budgets"]], BudgetSpec, key="id"),
        workflows=_specs(row["workflows"], WorkflowSpec),
        schedules=_specs(_opened(row["schedules"], organization_id, drivers), ScheduleSpec),
        hooks=_specs(row["hooks"], HookSpec),
        mcp_servers=_specs(row["mcp_servers"], McpServer),
    )
    active = {item["name"]: item["active_version"] for item in row["policies"] if item["active_version"] is not None}
    return Registry(organization_id, manifest, entries, _drafts(row), active, frozenset(row["secrets"]))


_SPOKEN = {"mcp_server": "MCP server"}
_KINDS = (
    ("department", "departments", "name"),
    ("queue", "queues", "name"),
    ("person", "people", "email"),
    ("tool", "tools", "name"),
    ("model", "models", "name"),
    ("purpose", "purposes", "name"),
    ("agent", "agents", "name"),
    ("policy", "policies", "name"),
    ("budget", "budgets", "name"),
    ("workflow", "workflows", "name"),
    ("schedule", "schedules", "name"),
    ("hook", "hooks", "name"),
    ("mcp_server", "mcp_servers", "name"),
)


def _drafts(row: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
    """Return what waits to be in force."""
    found: dict[tuple[str, str], Any] = {
        ("policy", item["name"]): rule_from(item["spec"], item["version"])
        for item in row["policies"]
        if item["state"] == "draft" and not item["retired"]
    }
    plain = {
        "tool": ToolSpec,
        "model": ModelSpec,
        "purpose": Purpose,
        "workflow": WorkflowSpec,
        "mcp_server": McpServer,
    }
    for kind, spec in plain.items():
        for item in row[f"{kind}s"]:
            if item["draft_spec"] is not None:
                found[kind, item["name"]] = msgspec.convert({**item["draft_spec"], "name": item["name"]}, spec)
    for item in row["agents"]:
        if item["draft_spec"] is not None and not item["retired"]:
            columns = {
                "name": item["name"],
                "type": item["draft_spec"]["columns"]["type"],
                "department": item["draft_department"],
                "owner": item["draft_owner"],
            }
            found["agent", item["name"]] = msgspec.convert({**item["draft_spec"], **columns}, AgentSpec)
    return found


def _opened(
    items: Iterable[dict[str, Any]], organization_id: UUID, drivers: Drivers | None
) -> Iterable[Mapping[str, Any]]:
    """Return schedules with their inputs, which lie sealed."""
    keys = None
    for item in items:
        if item["input_id"] is not None and drivers is not None:
            keys = keys or load_data_keys(drivers, organization_id)
            row = {
                "organization_id": organization_id,
                "id": UUID(item["input_id"]),
                "data_key_id": UUID(item["input_key"]),
                "sealed": base64.b64decode(item["input_sealed"]),
            }
            item["input"] = open_json(row, keys=keys, crypto=drivers.crypto)
    return items


def _specs(items: Iterable[Mapping[str, Any]], spec: type[Any], *, key: str = "name") -> tuple[Any, ...]:
    """Return what is in force of one kind as specs, by name: a row's columns beside what its version holds."""
    standing = (item for item in items if not item.get("retired") and item.get("spec", item) is not None)
    live = sorted(standing, key=lambda item: str(item[key]))
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
        hosts=tuple(settings["hosts"]),
        capture=msgspec.convert(settings["capture"], Capture),
    )
