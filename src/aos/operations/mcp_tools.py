"""Tools of registered MCP servers, called through the gate like any tool; and what a server offers, for who registers them.

Secrets are opened here and go to their server alone. A server that is not in force is neither started nor asked.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from aos.kernel.errors import AosError, Forbidden, NotFound, SchemaChanged, Unavailable
from aos.kernel.identity import Principal, PrincipalKind
from aos.kernel.json import Json
from aos.kernel.mcp_servers import (
    CONCURRENCY_USUAL,
    Given,
    McpServer,
    McpTarget,
    Proposal,
    SecretName,
    held,
    proposed_tools,
    server_name,
    without,
)
from aos.kernel.people import ROLE_PERMISSIONS, Permission, Role
from aos.kernel.ports import Hears, McpUpstream, ToolOutcome
from aos.kernel.tools import Tool, ToolTransport
from aos.operations.facts import FactsCache, OrganizationFacts
from aos.operations.held_tools import HeldNotes

_LOG = logging.getLogger(__name__)

DISCOVER_SECONDS: Final = 45.0
"""How long a server may take to say what it offers: a program may have to be fetched first."""

_hears: ContextVar[Hears | None] = ContextVar("aos_mcp_hears", default=None)
"""Whom the calls of this context tell of their progress: a door's business, of which the gate knows nothing."""


@contextmanager
def hearing(hears: Hears) -> Iterator[None]:
    """Tell `hears` of the progress of every call that is begun in the block, tasks that it starts included."""
    before = _hears.set(hears)
    try:
        yield
    finally:
        _hears.reset(before)


@dataclass(frozen=True, slots=True)
class Discovered:
    """One offer of a server: what a manifest could say of it, and the tool that stands for it already.

    `state`: `new` where no tool stands for it, `accepted` where one does as it is, `held` where `why` holds its calls.
    """

    proposal: Proposal
    tool: str
    state: str
    why: str = ""


class McpTools:
    """The `ToolCaller` of tools of MCP servers."""

    def __init__(self, facts: FactsCache, upstream: McpUpstream, notes: HeldNotes | None = None) -> None:
        self._facts = facts
        self._upstream = upstream
        self._notes = notes

    async def call(
        self,
        tool: Tool,
        arguments: Mapping[str, Json],
        *,
        principal: Principal,
        idempotency_key: str,
        deadline_seconds: float,
    ) -> ToolOutcome:
        """Call the tool at its server with the caller's arguments and the tool's fixed ones, which no caller can set."""
        facts = await self._facts.of(principal.organization_id)
        try:
            target = target_of(server_name(tool), facts)
        except AosError as error:
            return ToolOutcome(ok=False, error=error.detail, sent=False, frees_key=True)
        outcome = await self._upstream.call(
            target,
            tool,
            {**arguments, **tool.fixed},
            idempotency_key=idempotency_key,
            deadline_seconds=deadline_seconds,
            hears=_hears.get(),
        )
        if outcome.ok or outcome.code == SchemaChanged.slug:
            await _note(self._notes, facts, {tool.name: "" if outcome.ok else outcome.error})
        return outcome


async def discover(
    facts_cache: FactsCache,
    upstream: McpUpstream | None,
    principal: Principal,
    *,
    name: str,
    notes: HeldNotes | None = None,
) -> list[Discovered]:
    """Ask a server what it offers and return it, in order of names, with tools whose offer is gone at the end.

    For people who may register: raise Forbidden for others, NotFound where no server of that name is in force, Unavailable
    where it cannot be asked.
    """
    if upstream is None:
        raise Unavailable("this process asks no MCP servers")
    if not _may_register(principal):
        raise Forbidden(f"`{principal.actor.name}` may not register tools: it needs registry.write")
    facts = await facts_cache.of(principal.organization_id)
    offers = await upstream.offers(target_of(name, facts), deadline_seconds=DISCOVER_SECONDS)
    standing = {
        str(tool.options.get("tool")): tool
        for tool in facts.tools.values()
        if tool.transport is ToolTransport.MCP and server_name(tool) == name
    }
    found = []
    for offer, proposal in zip(offers, proposed_tools(name, offers), strict=True):
        tool = standing.pop(offer.name, None)
        why = held(tool, offer) if tool is not None else ""
        state = "new" if tool is None else "held" if why else "accepted"
        proposal = without(proposal, tool.fixed) if tool is not None else proposal
        found.append(Discovered(proposal, tool.name if tool is not None else "", state, why))
    gone = [Discovered(Proposal(each.name, {}), each.name, "gone", held(each, None)) for each in standing.values()]
    marks = {each.tool: each.why for each in found if each.tool} | {each.proposal.name: each.why for each in gone}
    await _note(notes, facts, marks)
    return found + gone


async def _note(notes: HeldNotes | None, facts: OrganizationFacts, why: Mapping[str, str]) -> None:
    """Mark what is held, for people to see; a mark that could not be written fails nothing."""
    if notes is None:
        return
    try:
        await notes.note(facts.id, why)
    except AosError as error:
        _LOG.warning("could not mark which tools are held: %s", error.detail)


def target_of(name: str, facts: OrganizationFacts) -> McpTarget:
    """Return how a registered server is reached; raise NotFound where it or a secret that it is given is missing."""
    server = facts.mcp_servers.get(name)
    if server is None:
        raise NotFound(
            f"there is no MCP server `{name[:80]}` in force: `aos mcp-servers publish` accepts one that waits"
        )
    return McpTarget(
        organization_id=facts.id,
        name=server.name,
        command=server.command,
        env=_opened(server.env, server, facts),
        folder=server.folder,
        url=server.url,
        headers=_opened(server.headers, server, facts),
        permitted=facts.hosts,
        concurrency=server.concurrency or CONCURRENCY_USUAL,
        restarts=facts.mcp_restarts.get(name, 0),
    )


def _opened(values: Given, server: McpServer, facts: OrganizationFacts) -> dict[str, str]:
    return {
        name: facts.secret(value.secret) if isinstance(value, SecretName) else value for name, value in values.items()
    }


def _may_register(principal: Principal) -> bool:
    if principal.actor.kind is not PrincipalKind.PERSON:
        return False
    roles = {Role(role) for role in principal.roles if role in set(Role)}
    return any(Permission.REGISTRY_WRITE in ROLE_PERMISSIONS[role] for role in roles)
