"""One pass of a task, from the worker's side: who acts in it, under which claim, and what it is waiting for so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from uuid import UUID

from aos.kernel.agents import Agent
from aos.kernel.identity import Principal
from aos.operations.claimed import ClaimedTask

SEQ_START = 1 << 62
"""Outcomes recorded during a pass come after all that it was handed, in the order in which they were answered."""


@dataclass(slots=True)
class PassState:
    """What the calls of one pass share."""

    task: ClaimedTask
    agent: Agent
    principal: Principal
    children: set[UUID] = field(default_factory=set)
    approvals: set[UUID] = field(default_factory=set)
    _seq: count[int] = field(default_factory=lambda: count(SEQ_START))

    def next_seq(self) -> int:
        """Return the place of the next outcome in this pass."""
        return next(self._seq)


def begin_pass(task: ClaimedTask, agent: Agent) -> PassState:
    """Return the state of a pass that begins."""
    return PassState(task, agent, task.principal(agent))
