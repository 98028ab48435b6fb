"""A claimed task: what a worker holds, as a value. Its `token` fences every write that is made for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec

from aos.kernel.agents import Agent
from aos.kernel.identity import ChainLink, Claim, Principal, PrincipalKind
from aos.kernel.workflow.lanes import NO_LANE
from aos.kernel.workflow.spec import TaskWork, work_from

TEXTS_KEPT = 4_096
START_KEY = "aos:start"
"""The call key under which a task's own delegation waits for a person; no call of an agent has it."""


@dataclass(frozen=True, slots=True)
class ClaimedRun:
    """The run of a claimed task, as far as its passes need it."""

    name: str
    labels: Mapping[str, str]
    clock_start: datetime | None
    created_at: datetime
    tasks_total: int
    goal_content_id: UUID | None
    input_content_id: UUID | None
    thread: str | None = None

    def clock(self, now: datetime) -> datetime | None:
        """Return the run's own time at the database's `now`, None where it carries no clock."""
        return None if self.clock_start is None else self.clock_start + (now - self.created_at)


@dataclass(frozen=True, slots=True)
class ClaimedTask:
    """One task under one claim. `asker` is who stands behind it, root first; the agent itself comes after."""

    organization_id: UUID
    id: UUID
    run_id: UUID
    name: str
    label: str
    kind: str
    agent_id: UUID | None
    parent_id: UUID | None
    item_index: int | None
    asker: Principal
    work: TaskWork
    attempt: int
    attempts_max: int
    priority: int
    claims: int
    fallen_back: bool
    deadline_at: datetime | None
    token: UUID
    upstream_failed: bool
    started: bool
    has_calls: bool
    waits_for: str | None
    runtime_ms: int
    input_content_id: UUID | None
    claimed_at: datetime
    run: ClaimedRun
    lane: UUID = NO_LANE
    generation: int = 0

    @property
    def thread(self) -> str:
        """Return under what its agent's checkpoints are kept: the run's thread, else its own id."""
        return self.run.thread or str(self.id)

    @property
    def is_fan(self) -> bool:
        """Say whether it runs once for each item."""
        return self.kind == "fan"

    @property
    def is_workflow(self) -> bool:
        """Say whether it is a run of another workflow."""
        return self.kind == "workflow"

    @property
    def first_attempt(self) -> int:
        """Return the first attempt of the agent that has it now."""
        return self.attempts_max - self.work.retry.attempts + 1 if self.fallen_back else 1

    @property
    def claim(self) -> Claim:
        """Return the claim that acts of this task carry."""
        return Claim(self.run_id, self.id, self.attempt, self.token)

    def principal(self, agent: Agent) -> Principal:
        """Return who acts in this task: whoever asked for it, then its agent at the current version."""
        link = ChainLink(PrincipalKind.AGENT, agent.id, agent.name, agent.version)
        return Principal(self.organization_id, (*self.asker.chain, link), claim=self.claim)

    def deadline(self, seconds: float) -> datetime:
        """Return when so many seconds will have passed since the claim."""
        return self.claimed_at + timedelta(seconds=seconds)


def claimed_task(row: Mapping[str, Any]) -> ClaimedTask:
    """Return the task of one row of `claim_tasks`."""
    organization_id: UUID = row["organization_id"]
    claim = Claim(row["run_id"], row["id"], row["attempt"], row["claim_token"])
    return ClaimedTask(
        organization_id=organization_id,
        id=row["id"],
        run_id=row["run_id"],
        name=row["name"],
        label=row["label"],
        kind=row["kind"],
        agent_id=row["agent_id"],
        parent_id=row["parent_id"],
        item_index=row["item_index"],
        asker=Principal(organization_id, _chain(row["chain"]), _roles(row["run_chain"]), claim=claim),
        work=_work(row["spec"]),
        attempt=row["attempt"],
        attempts_max=row["attempts_max"],
        priority=row["priority"],
        claims=row["claims"],
        fallen_back=row["fallen_back"],
        deadline_at=row["deadline_at"],
        token=row["claim_token"],
        upstream_failed=row["upstream_failed"],
        started=row["started"],
        has_calls=row["has_calls"],
        waits_for=row["waits_for"],
        runtime_ms=row["runtime_ms"],
        input_content_id=row["input_content_id"],
        claimed_at=row["now"],
        run=ClaimedRun(
            name=row["run_name"],
            labels=row["labels"],
            clock_start=row["clock_start"],
            created_at=row["run_created_at"],
            tasks_total=row["tasks_total"],
            goal_content_id=row["goal_content_id"],
            input_content_id=row["run_input_content_id"],
            thread=row["run_thread"],
        ),
        lane=row["lane"],
        generation=row["generation"],
    )


# A batch holds many tasks of few runs, each with the same chain: what is read of a text is kept by the text.


@lru_cache(maxsize=TEXTS_KEPT)
def _chain(text: str) -> tuple[ChainLink, ...]:
    return chain_of(msgspec.json.decode(text))


@lru_cache(maxsize=TEXTS_KEPT)
def _roles(text: str) -> tuple[str, ...]:
    return roles_of(msgspec.json.decode(text))


@lru_cache(maxsize=TEXTS_KEPT)
def _work(text: str) -> TaskWork:
    return work_from(msgspec.json.decode(text))


def chain_of(links: list[Mapping[str, Any]]) -> tuple[ChainLink, ...]:
    """Return a chain as it stands in the store."""
    return tuple(ChainLink(PrincipalKind(at["kind"]), UUID(at["id"]), at["name"], at["version"]) for at in links)


def roles_of(links: list[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the roles that the one who started a run had then; they stand on the last link of the run's chain."""
    return tuple(links[-1].get("roles", ())) if links else ()
