"""Rules and decisions as values: what a policy says, and what was decided, why, on which facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from aos.kernel.json import Json


class Outcome(StrEnum):
    """The three outcomes; deny beats escalate beats allow."""

    ALLOW = "allow"
    ESCALATE = "escalate"
    DENY = "deny"


class RuleSource(StrEnum):
    """Where a rule stands: in a published policy, in an agent's permissions, or in AOS itself."""

    POLICY = "policy"
    PERMISSION = "permission"
    BUILT_IN = "built-in"


class Origin(StrEnum):
    """Where an argument came from, least trusted last."""

    TRUSTED = "trusted"
    PERSON = "person"
    MODEL = "model"
    UNTRUSTED = "untrusted"


@dataclass(frozen=True, slots=True)
class Approvers:
    """Who may answer an escalation, and for how long it stands."""

    role: str = "approver"
    quorum: int = 1
    expires_seconds: int = 4 * 3600


@dataclass(frozen=True, slots=True)
class Asked:
    """Who must answer an act: a yes from each of the roles, in the order of the rules that ask; one person may hold several."""

    roles: tuple[str, ...]
    quorum: int
    expires_seconds: int


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `agents`: names, globs, `type:NAME`, `department:NAME`; `actions`: `tool:NAME` with globs; empty = all.

    `effects` narrows tool actions to tools of these effects. `when` is a CEL condition, empty = always.
    """

    id: str
    version: int
    outcome: Outcome
    agents: tuple[str, ...]
    actions: tuple[str, ...]
    when: str = ""
    reason: str = ""
    effects: tuple[str, ...] = ()
    approvers: Approvers | None = None
    source: RuleSource = RuleSource.POLICY


@dataclass(frozen=True, slots=True)
class Subject:
    """The agent that acts, as conditions see it."""

    name: str
    type: str
    department: str
    risk: str
    chain: tuple[str, ...]
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a decision may read besides the act: all values, loaded before. Times are aware, in the organization's zone.

    `origins` holds the declared sinks only. `looked_up` holds the tool's fact lookups by name. `budget_left_nanos` is
    None where no budget applies.
    """

    subject: Subject
    now: datetime
    decided_at: datetime
    origins: Mapping[str, Origin] = field(default_factory=dict)
    looked_up: Mapping[str, Json] = field(default_factory=dict)
    budget_left_nanos: int | None = None
    environment: str = "production"
    approved: Mapping[str, int] = field(default_factory=dict)
    """Escalate rules (id to version) that a given approval satisfies."""


@dataclass(frozen=True, slots=True)
class Matched:
    """One rule that matched: `failed` when its condition could not be evaluated; `satisfied` when an approval covers it."""

    id: str
    version: int
    outcome: Outcome
    reason: str
    source: RuleSource
    failed: bool = False
    satisfied: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided. Falsy unless allowed. `read` holds the facts that matched rules named, for people to see."""

    outcome: Outcome
    matched: tuple[Matched, ...]
    reason: str
    decided_at: datetime
    clock: datetime
    approvers: Asked | None = None
    read: Mapping[str, Json] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.outcome is Outcome.ALLOW
