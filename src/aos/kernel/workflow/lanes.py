"""Lanes: whose turn a task takes where tasks are claimed in turn.

Tasks stand in the lane of their agent's department, so that departments take turns. Those that a limit holds back stand in
a lane of their own: a claim passes over it as a whole while the limit leaves nothing, however many they are. All tasks of
such a lane have the same limits; its id is of version 5, which tells it from a department's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID, uuid5

from aos.kernel.agents import Agent

NO_LANE: Final = UUID(int=0)
"""The lane of tasks whose agent has no department."""
DEFAULT_QUEUE: Final = "default"
"""The queue of tasks that name none, and whose agent names none."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The queues of an organization, by name, with how many of their tasks may be under way at once."""

    organization_id: UUID
    queues: Mapping[str, int] = field(default_factory=dict)


def queue_of(agent: Agent | None, named: str = "") -> str:
    """Return the queue of a task: the one it names, else its agent's, else the usual one."""
    return named or (agent.queue if agent is not None else "") or DEFAULT_QUEUE


def lane_of(agent: Agent | None, queue: str, limits: Limits) -> UUID:
    """Return the lane of a task of this agent, None where it has none, in this queue.

    One lane for each limited queue, limited agent, and pair of both; else the agent's department. Without its agent's
    limit or its queue's, a task that was born before stays where it is and loses nothing but its turn.
    """
    held = [f"queue:{queue}"] if queue in limits.queues else []
    if agent is not None and agent.concurrency is not None:
        held.append(f"agent:{agent.name}")
    if held:
        return uuid5(limits.organization_id, " ".join(held))
    return NO_LANE if agent is None or agent.department_id is None else agent.department_id
