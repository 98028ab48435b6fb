"""Agent cards: what an agent is and how it is spoken to, and the card of the deployment, which lists its agents.

A card shows an organization's agents to its own callers alone. Whoever is not signed in is given the same card under any
name: where to speak, in which protocol, and what to sign in with, but not whether there is such an agent. That one is
nobody's, and not signed.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Final
from urllib.parse import quote
from uuid import UUID

from a2a.types import (
    AgentCapabilities,
    AgentCard,
    AgentInterface,
    AgentProvider,
    AgentSkill,
    HTTPAuthSecurityScheme,
    SecurityRequirement,
    SecurityScheme,
    StringList,
)
from a2a.utils.constants import PROTOCOL_VERSION_1_0, TransportProtocol

from aos.data_plane.a2a.routes import A2A_PATH
from aos.data_plane.addresses import issuer_of
from aos.data_plane.binding import Services
from aos.kernel.agents import Agent, AgentStatus
from aos.kernel.json import Json
from aos.operations.facts import OrganizationFacts

MODES: Final = ("text/plain", "application/json")
_SCHEME: Final = "bearer"


def agent_card(agent: Agent, base_url: str) -> AgentCard:
    """Return the card of an agent as callers of its organization see it."""
    skill = AgentSkill(
        id=agent.name,
        name=agent.name,
        description=agent.goal or f"Does what the agent `{agent.name}` is for",
        tags=[each for each in (agent.type.value, agent.department) if each],
    )
    card = _card(agent.name, agent.goal or f"The agent `{agent.name}`", _interfaces(agent.name, base_url), base_url)
    card.version = str(agent.version)
    card.skills.append(skill)
    card.skills.extend(
        AgentSkill(
            id=f"{agent.name}/{n}",
            name=each.name,
            description=" ".join(filter(None, (each.name, each.kpi and f"({each.kpi} {each.target})"))),
            tags=["objective"],
        )
        for n, each in enumerate(agent.objectives)
    )
    return card


def anybodys_card(name: str, base_url: str) -> AgentCard:
    """Return what is shown under any agent's name to whoever is not signed in."""
    said = "An agent behind AOS; sign in for its own card"
    card = _card(name, said, _interfaces(name, base_url), base_url)
    card.version = version("aos")
    card.skills.append(AgentSkill(id="message", name="message", description=said, tags=["aos"]))
    return card


def deployment_card(facts: OrganizationFacts | None, base_url: str) -> AgentCard:
    """Return the card of the deployment: one address, at which `tenant` names the agent, and a skill for each agent."""
    where = AgentInterface(url=base_url + A2A_PATH, protocol_binding=TransportProtocol.JSONRPC.value)
    where.protocol_version = PROTOCOL_VERSION_1_0
    card = _card(
        "AOS", "The agents of an AOS deployment: name one as `tenant`, or go to its own card", [where], base_url
    )
    card.version = version("aos")
    for agent in callable_agents(facts) if facts is not None else ():
        address = f"{base_url}{A2A_PATH}/{quote(agent.name, safe='')}"
        card.skills.append(
            AgentSkill(
                id=agent.name,
                name=agent.name,
                description=f"{agent.goal or agent.name} ({address})",
                tags=[each for each in (agent.type.value, agent.department) if each],
            )
        )
    if not card.skills:
        card.skills.append(AgentSkill(id="agents", name="agents", description="Sign in to see agents", tags=["aos"]))
    return card


async def signed(services: Services, organization_id: UUID, card: dict[str, Json], *, base_url: str) -> dict[str, Json]:
    """Return a card signed by its organization."""
    tokens = services.oauth.tokens
    return await tokens.signed_card(organization_id, card, issuer=issuer_of(base_url, tokens.addresses))


def callable_agents(facts: OrganizationFacts) -> list[Agent]:
    """Return the agents of an organization that run here, by name."""
    found = facts.agents_by_name
    return [
        found[name]
        for name in sorted(found)
        if found[name].runtime is not None and found[name].status is not AgentStatus.RETIRED
    ]


def _interfaces(agent: str, base_url: str) -> list[AgentInterface]:
    url = f"{base_url}{A2A_PATH}/{quote(agent, safe='')}"
    return [
        AgentInterface(url=url, protocol_binding=binding.value, protocol_version=PROTOCOL_VERSION_1_0)
        for binding in (TransportProtocol.JSONRPC, TransportProtocol.HTTP_JSON)
    ]


def _card(name: str, description: str, interfaces: list[AgentInterface], base_url: str) -> AgentCard:
    scheme = HTTPAuthSecurityScheme(
        scheme=_SCHEME, description="An API key of an agent, a task token, an access token, or a person's token"
    )
    return AgentCard(
        name=name,
        description=description,
        supported_interfaces=interfaces,
        provider=AgentProvider(organization="AOS", url=base_url),
        capabilities=AgentCapabilities(streaming=True, push_notifications=True, extended_agent_card=True),
        security_schemes={_SCHEME: SecurityScheme(http_auth_security_scheme=scheme)},
        security_requirements=[SecurityRequirement(schemes={_SCHEME: StringList()})],
        default_input_modes=MODES,
        default_output_modes=MODES,
    )
