"""Facts in memory: what decisions in an organization rest on, loaded as of one epoch and kept fresh.

`FactsCache.refresh` is called at least once a second and on every bell; it reads all epochs in one statement and drops
what they outdate. A process that has not managed that for `EPOCH_AGE_SECONDS_MAX` refuses decisions that write nothing.
The time that decisions see is the database's, carried on by a monotonic clock between two reads: a wrong wall clock of
this machine changes nothing.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from aos.kernel.agents import Agent
from aos.kernel.budget import Budget
from aos.kernel.errors import NotFound, Unavailable
from aos.kernel.identity import Principal, PrincipalKind
from aos.kernel.limits import EPOCH_AGE_SECONDS_MAX
from aos.kernel.mcp_servers import McpServer
from aos.kernel.models.values import Model, Purpose
from aos.kernel.policy.index import PolicySet
from aos.kernel.policy.permissions import purposes_of
from aos.kernel.redaction import Capture
from aos.kernel.specs import agent_from, mcp_server_from, model_from, purpose_from, rule_from, tool_from
from aos.kernel.tools import Tool
from aos.kernel.workflow.lanes import Limits
from aos.operations.contents import DataKeys
from aos.operations.drivers import Drivers
from aos.store.hot.database import Database


@dataclass(frozen=True, slots=True)
class Settings:
    """An organization's own settings. `rates` are nanos of its currency per unit of another."""

    currency: str
    zone: ZoneInfo
    environment: str
    rates: Mapping[str, int]
    run_clock_allowed: bool
    capture: Capture


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key of the organization, opened: an Ed25519 private key, or the 32 bytes of a symmetric one."""

    id: UUID
    purpose: str
    state: str
    private: bytes = field(repr=False)
    public: bytes | None
    retired_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OrganizationFacts:
    """One organization as of one epoch; never changed, only replaced."""

    id: UUID
    epoch: int
    settings: Settings
    agents: Mapping[UUID, Agent]
    agents_by_name: Mapping[str, Agent]
    tools: Mapping[str, Tool]
    policies: PolicySet
    budgets: Mapping[UUID, tuple[Budget, ...]]
    data_keys: DataKeys
    signing_keys: tuple[SigningKey, ...]
    queues: Mapping[str, int] = field(default_factory=dict)
    """The queues, with how many of their tasks may be under way at once."""
    models: Mapping[str, Model] = field(default_factory=dict)
    purposes: Mapping[str, Purpose] = field(default_factory=dict)
    """The purposes as they are registered: a model that one names need not be in `models`."""
    hosts: tuple[str, ...] = ()
    """The hosts that models may be reached at, beside their providers' own: `host` or `host:port`."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The keys that models and MCP servers name, opened, by the name of their secret; one that cannot be opened is not there."""
    mcp_servers: Mapping[str, McpServer] = field(default_factory=dict)
    mcp_restarts: Mapping[str, int] = field(default_factory=dict)
    """How often each was begun anew, by its name."""

    @property
    def limits(self) -> Limits:
        """Return what lanes are chosen by."""
        return Limits(self.id, self.queues)

    def secret(self, name: str) -> str:
        """Return a key that a model or an MCP server names; raise NotFound where it is not set. It goes to that server alone."""
        try:
            return self.secrets[name]
        except KeyError:
            raise NotFound(f"there is no secret `{name}`: set it with `aos secrets set {name}`") from None

    def agent_of(self, principal: Principal) -> Agent | None:
        """Return the agent that acts, None where a person or schedule does, or the agent is unknown."""
        actor = principal.actor
        return self.agents.get(actor.id) if actor.kind is PrincipalKind.AGENT else None

    def budgets_above(self, agent: Agent | None) -> tuple[Budget, ...]:
        """Return every standing budget that counts what `agent` costs, the agent's own first."""
        scopes = [self.id]
        if agent is not None:
            scopes = [agent.id, *([agent.department_id] if agent.department_id else []), self.id]
        return tuple(budget for scope in scopes for budget in self.budgets.get(scope, ()))

    def key(self, purpose: str) -> SigningKey:
        """Return the current key of a purpose."""
        return next(key for key in self.signing_keys if key.purpose == purpose and key.state == "current")


class FactsCache:
    """The facts of every organization that this process has met."""

    def __init__(self, database: Database, drivers: Drivers) -> None:
        self._database = database
        self._drivers = drivers
        self._facts: dict[UUID, OrganizationFacts] = {}
        self._loading: dict[UUID, asyncio.Lock] = {}
        self._epochs: dict[UUID, int] = {}
        self._read_at: float | None = None
        self._database_now: datetime | None = None

    async def refresh(self) -> None:
        """Read every epoch and the database's time; what is outdated is loaded again when it is next needed."""
        asked_at = self._drivers.ticker.seconds()
        rows = await self._database.read("load_epochs")
        self._epochs = {row["id"]: row["epoch"] for row in rows}
        self._read_at = asked_at
        if rows:
            self._database_now = rows[0]["now"]

    def now(self) -> datetime:
        """Return the database's time, aware, in UTC; raise Unavailable before it was ever read."""
        if self._read_at is None or self._database_now is None:
            raise Unavailable("the database's time is not known yet; try again in a second")
        return self._database_now + timedelta(seconds=self._drivers.ticker.seconds() - self._read_at)

    def epoch_of(self, organization_id: UUID) -> int | None:
        """Return the epoch that was last read of an organization, None where none was."""
        return self._epochs.get(organization_id)

    def is_fresh(self) -> bool:
        """Say whether the epochs were read within the last second."""
        return self._read_at is not None and (self._drivers.ticker.seconds() - self._read_at <= EPOCH_AGE_SECONDS_MAX)

    async def of(self, organization_id: UUID, *, newer_than: int | None = None) -> OrganizationFacts:
        """Return the facts of an organization; `newer_than` names an epoch that was found to be outdated."""
        known = self._facts.get(organization_id)
        wanted = self._epochs.get(organization_id)
        if known is not None and known.epoch == wanted and (newer_than is None or known.epoch > newer_than):
            return known
        lock = self._loading.setdefault(organization_id, asyncio.Lock())
        async with lock:
            known = self._facts.get(organization_id)
            current = known is not None and known.epoch == self._epochs.get(organization_id)
            if known is not None and current and (newer_than is None or known.epoch > newer_than):
                return known
            try:
                return await self._load(organization_id)
            except NotFound:
                self._loading.pop(organization_id, None)  # ids that a caller made up leave nothing behind
                raise

    async def _load(self, organization_id: UUID) -> OrganizationFacts:
        asked_at = self._drivers.ticker.seconds()
        rows = await self._database.read("load_facts", {"organization_id": organization_id})
        if not rows or rows[0]["settings"] is None:
            raise NotFound(f"no organization `{organization_id}`")
        facts = facts_from_row(organization_id, rows[0], drivers=self._drivers)
        self._facts[organization_id] = facts
        self._epochs[organization_id] = facts.epoch
        if self._database_now is None:
            self._read_at, self._database_now = asked_at, rows[0]["now"]
        return facts


def facts_from_row(organization_id: UUID, row: Mapping[str, Any], *, drivers: Drivers) -> OrganizationFacts:
    """Return the facts that one row of `load_facts` states, with every key opened."""
    settings = row["settings"]
    purposes = [purpose_from(each["name"], each["spec"]) for each in row["purposes"]]
    models = [model_from(each["columns"], each["spec"]) for each in row["models"]]
    named = {purpose.name: purpose.models for purpose in purposes}
    agents = [_with_purposes(agent_from(each["columns"], each["spec"]), named) for each in row["agents"]]
    tools = [tool_from(each["columns"], each["spec"]) for each in row["tools"]]
    rules = [rule_from(each["spec"], each["version"]) for each in row["policies"]]
    data_keys = _open_data_keys(row["data_keys"], drivers)
    by_name = {tool.name: tool for tool in tools}
    return OrganizationFacts(
        id=organization_id,
        epoch=row["epoch"],
        settings=Settings(
            currency=settings["currency"],
            zone=ZoneInfo(settings["timezone"]),
            environment=settings["environment"],
            rates={code: int(rate["nanos"]) for code, rate in settings["rates"].items()},
            run_clock_allowed=settings["run_clock_allowed"],
            capture=msgspec.convert(settings["capture"], Capture),
        ),
        agents=MappingProxyType({agent.id: agent for agent in agents}),
        agents_by_name=MappingProxyType({agent.name: agent for agent in agents}),
        tools=MappingProxyType(by_name),
        policies=PolicySet(rules),
        budgets=_budgets_by_scope(row["budgets"]),
        data_keys=data_keys,
        signing_keys=tuple(
            _open_signing_key(each, organization_id, data_keys, drivers) for each in row["signing_keys"]
        ),
        queues=MappingProxyType(row["queues"]),
        models=MappingProxyType({model.name: model for model in models}),
        purposes=MappingProxyType({purpose.name: purpose for purpose in purposes}),
        hosts=tuple(settings["hosts"]),
        secrets=MappingProxyType(_open_secrets(row["secrets"], organization_id, data_keys, drivers=drivers)),
        mcp_servers=MappingProxyType(
            {each["name"]: mcp_server_from(each["name"], each["spec"]) for each in row["mcp_servers"]}
        ),
        mcp_restarts=MappingProxyType({each["name"]: each["restarts"] for each in row["mcp_servers"]}),
    )


def _with_purposes(agent: Agent, purposes: Mapping[str, tuple[str, ...]]) -> Agent:
    found = purposes_of(agent.models, purposes)
    return replace(agent, purposes=found) if found else agent


def _open_secrets(
    rows: list[Mapping[str, Any]], organization_id: UUID, data_keys: DataKeys, *, drivers: Drivers
) -> dict[str, str]:
    """Return what of the secrets can be opened and sent in a header; the rest counts as not set."""
    found: dict[str, str] = {}
    for row in rows:
        key = data_keys.by_id.get(UUID(row["data_key_id"]))
        if key is None:
            continue
        bound_to = organization_id.bytes + UUID(row["id"]).bytes
        value = drivers.crypto.open(key, base64.b64decode(row["sealed"]), bound_to=bound_to)
        if (text := value.strip()).isascii() and text:
            found[row["name"]] = text.decode("ascii")
    return found


def _budgets_by_scope(rows: list[Mapping[str, Any]]) -> Mapping[UUID, tuple[Budget, ...]]:
    found: dict[UUID, tuple[Budget, ...]] = {}
    for each in rows:
        budget = msgspec.convert(each, Budget)
        found[budget.scope_id] = (*found.get(budget.scope_id, ()), budget)
    return MappingProxyType(found)


def _open_data_keys(rows: list[Mapping[str, Any]], drivers: Drivers) -> DataKeys:
    by_id = {
        UUID(each["id"]): drivers.keys.unwrap(each["key_encryption_key"], base64.b64decode(each["wrapped"]))
        for each in rows
    }
    current = next(UUID(each["id"]) for each in rows if each["state"] == "current")
    return DataKeys(current, MappingProxyType(by_id))


def _open_signing_key(
    row: Mapping[str, Any], organization_id: UUID, data_keys: DataKeys, drivers: Drivers
) -> SigningKey:
    secret_id = UUID(row["secret_id"])
    private = drivers.crypto.open(
        data_keys.by_id[UUID(row["data_key_id"])],
        base64.b64decode(row["sealed"]),
        bound_to=organization_id.bytes + secret_id.bytes,
    )
    public = base64.b64decode(row["public_key"]) if row["public_key"] else None
    retired_at = datetime.fromisoformat(row["retired_at"]) if row["retired_at"] else None
    return SigningKey(UUID(row["id"]), row["purpose"], row["state"], private, public, retired_at)
