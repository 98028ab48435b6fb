"""Agents in the registry: register, change by a new version, pause, resume, kill, retire; and what is shown of them.

A version is immutable and a name is never free again. Pause, kill and retire count at once for every act, since each
raises the epoch in its own transaction; a kill also takes the claims from whoever holds the agent's tasks. A version that
gives an agent more than the one in force waits, unless its author may publish policies, until somebody who may accepts it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from aos.kernel.agents import AgentStatus, RuntimeKind
from aos.kernel.errors import Conflict, FieldError, InvalidRequest
from aos.kernel.ledger.record import RecordKind
from aos.kernel.manifest.gains import agent_gains
from aos.kernel.manifest.values import AgentSpec
from aos.kernel.people import Actor, Permission
from aos.kernel.specs import spec_digest, spec_of
from aos.operations.agent_keys import AddedKey, GivenKey, MadeKey, add_key
from aos.operations.limits import set_limit
from aos.operations.pages import Page, PageQuery, find_one, list_page, list_versions
from aos.operations.presence import Seen, seen_of
from aos.operations.registry import Entry
from aos.operations.registry_records import Edit, reading
from aos.store.cold.connection import run_sql

_ACTING: Final = (AgentStatus.RUNNING, AgentStatus.ERRORED)
_MOVES: Final[Mapping[AgentStatus, tuple[AgentStatus, ...]]] = {
    AgentStatus.PAUSED: _ACTING,
    AgentStatus.RUNNING: (AgentStatus.PAUSED, AgentStatus.ERRORED, AgentStatus.QUARANTINED),
    AgentStatus.QUARANTINED: (*_ACTING, AgentStatus.PAUSED),
    AgentStatus.RETIRED: (*_ACTING, AgentStatus.PAUSED, AgentStatus.QUARANTINED),
}
"""From which statuses an agent may come to each."""

_CHANGES: Final[Mapping[AgentStatus, str]] = {
    AgentStatus.PAUSED: "paused",
    AgentStatus.RUNNING: "resumed",
    AgentStatus.QUARANTINED: "killed",
    AgentStatus.RETIRED: "retired",
}


@dataclass(frozen=True, slots=True)
class ShownKey:
    """A public key that counts."""

    id: UUID
    thumbprint: str
    public_key: bytes
    proved_at: datetime


@dataclass(frozen=True, slots=True)
class AgentDetail:
    """One agent at the version in force, as it is shown.

    Version 0: none is in force yet, and `spec` is what waits. `draft_version` is a newer one that waits, None where none does.
    """

    id: UUID
    spec: AgentSpec
    version: int
    status: AgentStatus
    keys: tuple[ShownKey, ...]
    created_at: datetime
    updated_at: datetime
    retired_at: datetime | None
    draft_version: int | None = None
    seen: Seen | None = None
    """Of an agent that fetches its own tasks: whether it is there, and when it was."""


@dataclass(frozen=True, slots=True)
class AgentVersion:
    """One immutable version of an agent."""

    version: int
    spec: AgentSpec
    digest: bytes
    created_by: UUID | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Registered:
    """What registering gave: the agent's id, and its key where one was asked for."""

    id: UUID
    key: AddedKey | None


def register_agent(edit: Edit, spec: AgentSpec, *, key: GivenKey | MadeKey | None = None) -> Registered:
    """Register an agent with version 1, running, or paused where it waits; without an owner it is the actor's.

    Raises Conflict where the name is or was taken, InvalidRequest for a key without its proof.
    """
    edit.require(Permission.AGENT_REGISTER)
    if spec.name == "system":
        raise InvalidRequest("an agent cannot be called `system`", errors=[FieldError("/name", "is taken by AOS")])
    id = edit.drivers.ids.new()
    waits = _must_wait(edit, spec)
    entry = Entry(id, 0, status=AgentStatus.PAUSED, draft=1) if waits else Entry(id, 1, status=AgentStatus.RUNNING)
    params = _columns(edit, spec, entry)
    if not run_sql("insert_agent", {**params, "in_force": not waits}):
        found = edit.registry.find("agent", spec.name)
        was = "was an agent, and its name is not free again" if found and found.retired else "exists already"
        raise Conflict(f"agent `{spec.name}` {was}")
    edit.registry.entries["agent", spec.name] = entry
    if not waits:
        set_limit(edit, "agent", spec.name, spec.concurrency)
    added = add_key(edit, spec.name, id, offer=key) if key is not None else None
    change = "drafted" if waits else "registered"
    edit.record(RecordKind.AGENT_CHANGED, change, subject=f"agent:{spec.name}", version=1, digest=params["digest"])
    return Registered(id, added)


def change_agent(edit: Edit, spec: AgentSpec) -> int:
    """Give an agent a new version and return its number; raise Conflict where it is retired.

    A version that waits replaces one that waited; what waits already as it is wanted is not stored again.
    """
    edit.require(Permission.AGENT_REGISTER)
    name, entry = edit.registry.get("agent", spec.name)
    waits = _must_wait(edit, spec)
    if waits and edit.registry.drafts.get(("agent", name)) == replace(spec, owner=spec.owner or edit.actor.email):
        return entry.draft
    params = {**_columns(edit, spec, entry), "in_force": not waits, "next": entry.next}
    if not run_sql("update_agent", params):
        raise Conflict(f"agent `{name}` is retired: register another under a new name")
    if waits:
        edit.registry.entries["agent", name] = replace(entry, draft=entry.next)
    else:
        status = AgentStatus.RUNNING if not entry.version and entry.status == AgentStatus.PAUSED else entry.status
        edit.registry.entries["agent", name] = Entry(entry.id, entry.next, status=status)
        set_limit(edit, "agent", name, spec.concurrency)
    change = "drafted" if waits else "changed"
    edit.record(RecordKind.AGENT_CHANGED, change, subject=f"agent:{name}", version=entry.next, digest=params["digest"])
    return entry.next


def publish_agent(edit: Edit, key: str, *, version: int | None = None) -> int:
    """Put the version of an agent that waits in force and return its number; `version` says which one is meant.

    Raises NotFound, and Conflict where nothing waits or another version than that one does.
    """
    edit.require(Permission.POLICY_PUBLISH)
    name, entry = edit.registry.get("agent", key)
    chosen = entry.waiting(f"agent `{name}`", version)
    rows = run_sql("publish_agent", {"organization_id": edit.organization_id, "id": entry.id, "version": chosen})
    if not rows:
        raise Conflict(f"agent `{name}` is retired: nothing of it can be in force")
    edit.registry.entries["agent", name] = Entry(entry.id, chosen, status=rows[0]["status"])
    set_limit(edit, "agent", name, edit.registry.drafts["agent", name].concurrency)
    edit.record(
        RecordKind.AGENT_CHANGED, "published", subject=f"agent:{name}", version=chosen, digest=rows[0]["digest"]
    )
    return chosen


def _must_wait(edit: Edit, spec: AgentSpec) -> bool:
    """Say whether this version waits for somebody who may publish policies."""
    manifest = edit.registry.manifest
    before = next((each for each in manifest.agents if each.name == spec.name), None)
    wanted = replace(spec, owner=spec.owner or edit.actor.email)
    return edit.must_wait("agent", spec.name, agent_gains(before, wanted, manifest.policies))


def move_agent(edit: Edit, key: str, to: AgentStatus) -> None:
    """Pause, resume, kill (`quarantined`) or retire an agent; raise NotFound, or Conflict from a status that forbids it.

    A kill and a retirement take its tasks from whoever holds them; a retirement revokes its keys for good.
    """
    retiring = to is AgentStatus.RETIRED
    edit.require(Permission.AGENT_REGISTER if retiring else Permission.AGENT_OPERATE)
    name, entry = edit.registry.get("agent", key)
    if to is AgentStatus.RUNNING and not entry.version and not entry.retired:
        raise Conflict(
            f"agent `{name}` waits for somebody with the permission `{Permission.POLICY_PUBLISH}` to accept it"
        )
    agent = {"organization_id": edit.organization_id, "agent_id": entry.id}
    allowed = [status.value for status in _MOVES[to]]
    params = {"organization_id": edit.organization_id, "id": entry.id, "status": to.value, "allowed": allowed}
    if not run_sql("update_agent_status", params):
        raise Conflict(f"agent `{name}` is {entry.status}: it cannot be {_CHANGES[to]} from there")
    if to in (AgentStatus.QUARANTINED, AgentStatus.RETIRED):
        run_sql("end_agent_claims", agent)
    if retiring:
        run_sql("revoke_api_keys", {**agent, "id": None})
        run_sql("revoke_agent_keys", agent)
        set_limit(edit, "agent", name, None)
    edit.registry.entries["agent", name] = Entry(entry.id, entry.version, retiring, to.value)
    edit.record(RecordKind.AGENT_CHANGED, _CHANGES[to], subject=f"agent:{name}", version=entry.version)


def list_agents(actor: Actor, query: PageQuery) -> Page[AgentDetail]:
    """Return a page of agents."""
    with reading(actor, Permission.AGENT_READ):
        return find_agents(actor.organization_id, query)


def show_agent(actor: Actor, key: str) -> AgentDetail:
    """Return one agent by name or id; raise NotFound."""
    with reading(actor, Permission.AGENT_READ):
        return find_agent(actor.organization_id, key)


def find_agent(organization_id: UUID, key: str) -> AgentDetail:
    """Return one agent by name or id, in the open transaction; raise NotFound."""
    return find_one(find_agents, organization_id, key, what="agent")


def find_agents(organization_id: UUID, query: PageQuery) -> Page[AgentDetail]:
    """Return a page of agents, in the open transaction."""
    filters = {"type": None, "status": None, "department": None, "owner": None, **query.filters}
    return list_page("list_agents", organization_id, query, read=_detail, **filters)


def list_agent_versions(actor: Actor, key: str, query: PageQuery) -> Page[AgentVersion]:
    """Return a page of an agent's versions, newest first; raise NotFound."""
    with reading(actor, Permission.AGENT_READ):
        agent = find_agent(actor.organization_id, key)
        return list_versions(
            "list_agent_versions",
            actor.organization_id,
            query,
            read=lambda row: AgentVersion(
                row["version"], _spec(agent.spec, row), row["digest"], row["created_by"], row["created_at"]
            ),
            agent_id=agent.id,
        )


def stored_spec(edit: Edit, spec: AgentSpec, entry: Entry, *, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is stored of a version: the kernel's value, what only people read, the row's columns when in force."""
    return {
        **spec_of(edit.registry.agent_of(spec, entry)),
        "price_per_second": msgspec.to_builtins(spec.price_per_second),
        "columns": msgspec.to_builtins(columns),
    }


def _columns(edit: Edit, spec: AgentSpec, entry: Entry) -> dict[str, Any]:
    owner = edit.registry.find("person", spec.owner or edit.actor.email)
    if owner is None:
        detail = f"no person here has the address `{spec.owner}`: invite them first"
        raise InvalidRequest(f"the owner of agent `{spec.name}`: {detail}", errors=[FieldError("/owner", detail)])
    department = edit.registry.get("department", spec.department)[1].id if spec.department else None
    columns = {"type": spec.type.value, "department_id": department, "owner_id": owner.id}
    stored = stored_spec(edit, spec, entry, columns=columns)
    return {
        **columns,
        "organization_id": edit.organization_id,
        "id": entry.id,
        "name": spec.name,
        "version": entry.version,
        "version_id": edit.drivers.ids.new(),
        "spec": msgspec.json.encode(stored).decode(),
        "digest": spec_digest(stored),
        "created_by": edit.actor.person_id,
    }


def _detail(row: Mapping[str, Any]) -> AgentDetail:
    columns = {name: row[name] for name in ("name", "type", "department", "owner")}
    keys = tuple(
        ShownKey(
            UUID(key["id"]),
            key["thumbprint"],
            base64.b64decode(key["public_key"]),
            datetime.fromisoformat(key["proved_at"]),
        )
        for key in row["keys"]
    )
    spec = msgspec.convert({**row["spec"], **columns}, AgentSpec)
    outside = spec.runtime is not None and spec.runtime.kind == RuntimeKind.WORK
    return AgentDetail(
        row["id"],
        spec,
        row["version"],
        AgentStatus(row["status"]),
        keys,
        row["created_at"],
        row["updated_at"],
        row["retired_at"],
        row["draft_version"],
        seen_of(row["first_seen_at"], row["last_seen_at"], row["now"]) if outside else None,
    )


def _spec(current: AgentSpec, row: Mapping[str, Any]) -> AgentSpec:
    """Return a version; of one that does not say its type, owner and department, they are the agent's own."""
    said = row["type"] is not None
    columns = {
        "name": current.name,
        "type": row["type"] if said else current.type.value,
        "department": row["department"] or "" if said else current.department,
        "owner": row["owner"] if said else current.owner,
    }
    return msgspec.convert({**row["spec"], **columns}, AgentSpec)
