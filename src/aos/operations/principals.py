"""Principals, made of the rows that credentials are looked up in."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from aos.kernel.identity import ChainLink, Claim, Principal, PrincipalKind


def principal_of_agent(row: Any) -> Principal:
    """Return the principal of an agent that acts for its owner, by a credential of its own."""
    return Principal(
        organization_id=row["organization_id"],
        chain=(
            ChainLink(PrincipalKind.PERSON, row["owner_id"], row["owner_email"]),
            ChainLink(PrincipalKind.AGENT, row["agent_id"], row["agent_name"], row["agent_version"]),
        ),
        credential_id=row["id"],
        epoch=row["epoch"],
    )


def principal_of_task(row: Any, claim_token: UUID) -> Principal:
    """Return the principal of a claimed task: who asked for it, then its agent at the current version."""
    asked = tuple(
        ChainLink(PrincipalKind(link["kind"]), UUID(link["id"]), link["name"], link["version"]) for link in row["chain"]
    )
    agent = ChainLink(PrincipalKind.AGENT, row["agent_id"], row["agent_name"], row["agent_version"])
    return Principal(
        organization_id=row["organization_id"],
        chain=(*asked, agent),
        claim=Claim(row["run_id"], row["id"], row["attempt"], claim_token),
    )
