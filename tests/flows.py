"""A company whose workflows are what a test says, run by a worker in this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from aos.kernel.agents import Agent, Runtime
from aos.kernel.policy.values import Rule
from aos.kernel.workflow.spec import RetrySpec, TaskSpec, WorkflowSpec
from tests.databases import Database
from tests.working import Working, add_workflow
from tests.worlds import World, agent, make_world, payments, tool

QUICK = RetrySpec(3, 0.01, 0.01)
MUCH = RetrySpec(5, 600.0, 600.0)


def run_agent(name: str, *tools: str, **more: Any) -> Agent:
    """Return an agent whose function stands in `tests.run_agents`."""
    return replace(agent(name, *tools, **more), runtime=Runtime("python", f"tests.run_agents:{name}", inline=True))


def company(database: Database, *workflows: WorkflowSpec, rules: Sequence[Rule] = ()) -> World:
    """Return the organization that these tests share."""
    plain = ("echo", "double", "fails", "waits", "pays")
    agents = [run_agent(name, *(("payments.create",) if name == "pays" else ())) for name in plain]
    agents += [run_agent("pays_then_fails", "payments.create"), run_agent("counted", queue="slow")]
    world = make_world(database, agents=agents, tools=[payments(), tool("erp.read")], rules=rules)
    for workflow in workflows:
        add_workflow(world, workflow)
    return world


def flow(*tasks: TaskSpec, name: str = "flow", **more: Any) -> WorkflowSpec:
    """Return a workflow."""
    return WorkflowSpec(name, tasks, **more)


def states(aos: Working, run_id: UUID) -> dict[str, str]:
    """Return how the tasks of a run stand; of one that was left out or failed, why."""
    tasks = aos.tasks(run_id)
    return {label: task["error_code"] or task["state"] for label, task in tasks.items()}
