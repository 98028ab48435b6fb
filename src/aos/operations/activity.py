"""What was last done, and how often rules matched: the figures beside agents and policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from aos.kernel.people import Actor, Permission
from aos.operations.registry_records import reading
from aos.store.cold.connection import run_sql

MATCHES_DAYS: Final = 30
"""How far back matches are counted."""


@dataclass(frozen=True, slots=True)
class AgentActivity:
    """The newest action of an agent; `run` is None outside of runs."""

    action_id: UUID
    act: str
    state: str
    at: datetime
    run_id: UUID | None
    run: str | None


@dataclass(frozen=True, slots=True)
class RuleMatches:
    """How many acts a rule matched in the last `MATCHES_DAYS`, and how many of them were refused or wait now."""

    matches: int
    refused: int
    waiting: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class TaskActions:
    """How many acts a task did, by what was decided on them."""

    allowed: int = 0
    asked: int = 0
    denied: int = 0


def count_task_actions(actor: Actor, run_id: UUID) -> Mapping[UUID | None, TaskActions]:
    """Return how many acts each task of a run did, by its id; the run's own stand under None."""
    with reading(actor, Permission.TRACE_READ):
        rows = run_sql("count_task_actions", {"organization_id": actor.organization_id, "run_id": run_id})
    return {row["task_id"]: TaskActions(row["allowed"], row["asked"], row["denied"]) for row in rows}


def list_agent_activity(actor: Actor) -> Mapping[UUID, AgentActivity]:
    """Return what each agent did last, by its id; who never acted is missing."""
    with reading(actor, Permission.TRACE_READ):
        rows = run_sql("list_agent_activity", {"organization_id": actor.organization_id})
    return {
        row["agent_id"]: AgentActivity(
            row["action_id"], row["act"], row["state"], row["intended_at"], row["run_id"], row["run"]
        )
        for row in rows
    }


def count_rule_matches(actor: Actor) -> Mapping[str, RuleMatches]:
    """Return how often each rule matched, by its id; what never matched is missing."""
    with reading(actor, Permission.TRACE_READ):
        rows = run_sql("count_rule_matches", {"organization_id": actor.organization_id, "days": MATCHES_DAYS})
    return {row["id"]: RuleMatches(row["matches"], row["refused"], row["waiting"], row["last_at"]) for row in rows}
