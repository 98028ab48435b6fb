"""Who acts: a principal is a value with its whole chain, from the person or schedule at the root to the agent itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class PrincipalKind(StrEnum):
    """What stands at one link of a chain."""

    PERSON = "person"
    AGENT = "agent"
    SCHEDULE = "schedule"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class ChainLink:
    """One link: `version` is the agent's version when it joined the chain, 0 for others."""

    kind: PrincipalKind
    id: UUID
    name: str
    version: int = 0

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True)
class Claim:
    """A task held by a worker; `token` is the random fence that every write of the task carries."""

    run_id: UUID
    task_id: UUID
    attempt: int
    token: UUID


@dataclass(frozen=True, slots=True)
class Principal:
    """Who acts in which organization; the last link of `chain` is the actor, the first the one who is answerable.

    `epoch` is the organization's when the credential was found to stand: under a later one it must be looked up again.
    """

    organization_id: UUID
    chain: tuple[ChainLink, ...]
    roles: tuple[str, ...] = ()
    credential_id: UUID | None = None
    claim: Claim | None = None
    epoch: int | None = None

    @property
    def actor(self) -> ChainLink:
        """Return the one who acts."""
        return self.chain[-1]

    @property
    def root(self) -> ChainLink:
        """Return the one who is answerable."""
        return self.chain[0]
