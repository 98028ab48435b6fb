"""What a pass of a task begins with, whoever runs it: its first frame, its chances and its time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from aos.kernel.acts import ActKind
from aos.kernel.agents import Agent, RuntimeKind
from aos.kernel.json import Json
from aos.kernel.policy.permissions import permits
from aos.kernel.workflow.passes import CallRecord, Chances
from aos.operations.claimed import ClaimedTask
from aos.operations.drivers import Drivers
from aos.operations.facts import OrganizationFacts
from aos.operations.inputs import pass_history, run_goal
from aos.operations.tasks import Taken
from aos.operations.tokens import TaskToken, make_task_token
from aos_sdk.frames import PassContext, Start


def start_frame(
    taken: Taken,
    facts: OrganizationFacts,
    agent: Agent,
    *,
    value: Json,
    calls: Mapping[CallRecord, Mapping[str, Any]],
    entry: str = "",
    now: datetime,
    drivers: Drivers,
) -> Start:
    """Return the frame that begins a pass of a claimed task, with its token and all that it may know."""
    task, keys = taken.task, facts.data_keys
    token = TaskToken(task.organization_id, task.run_id, task.id, task.token)
    clock = task.run.clock(now)
    context = PassContext(
        run_id=str(task.run_id),
        agent=agent.name,
        agent_version=agent.version,
        run_name=task.run.name,
        attempt=task.attempt,
        generation=task.generation,
        goal=run_goal(taken, keys, drivers) or agent.goal,
        objectives=msgspec.to_builtins(agent.objectives),
        labels=dict(task.run.labels),
        clock=clock.isoformat() if clock is not None else None,
        thread=task.thread,
        tools=_tools_of(agent, facts) if is_graph(agent) else [],
    )
    return Start(
        task_id=str(task.id),
        token=make_task_token(token, facts.key("token").private),
        entry=entry,
        context=context,
        input=value,
        history=pass_history(task, calls, keys, drivers=drivers) if calls else [],
        runtime=agent.runtime.kind if agent.runtime is not None else RuntimeKind.PYTHON,
    )


def is_graph(agent: Agent) -> bool:
    """Say whether an agent's passes go on at a checkpoint of their own."""
    return agent.runtime is not None and RuntimeKind(agent.runtime.kind).is_graph


def _tools_of(agent: Agent, facts: OrganizationFacts) -> list[str]:
    """Return the names of the tools that the agent's own lists permit."""
    return [name for name, tool in facts.tools.items() if permits(agent, ActKind.TOOL, name=name, tool=tool)]


def seconds_left(task: ClaimedTask, now: datetime) -> float | None:
    """Return the seconds until a task's deadline, None where it has none."""
    until = task.deadline_at
    if until is None and task.work.total_timeout_seconds is not None:
        until = task.deadline(task.work.total_timeout_seconds)  # it starts under this very claim
    return None if until is None else (until - now).total_seconds()


def chances_of(task: ClaimedTask, facts: OrganizationFacts, now: datetime) -> Chances:
    """Return how often a task is attempted yet, and by whom."""
    has_fallback = not task.fallen_back and task.work.fallback in facts.agents_by_name
    return Chances(
        task.work.retry,
        task.id,
        task.attempt,
        task.attempts_max,
        seconds_left=seconds_left(task, now),
        has_fallback=has_fallback,
    )
