"""An organization whose agents a scripted model leads, for tests of the runtime `llm`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from aos.kernel.agents import Agent, Runtime
from aos.kernel.errors import UpstreamFailed
from aos.kernel.models.values import Capability
from aos.kernel.money import Money
from aos.kernel.policy.values import Outcome, Rule
from aos.kernel.ports import ToolOutcome
from aos.kernel.tools import Effect
from tests.databases import Database
from tests.operations.test_runs_waits import at_work
from tests.scripted_models import Answer, ScriptedModels, model
from tests.working import Working
from tests.worlds import Caller, World, agent, make_world, payments, tool

ASK = Rule("every-payment", 1, Outcome.ESCALATE, (), ("tool:payments.create",), "", "a person looks at it")
NEVER = Rule("no-payments", 1, Outcome.DENY, (), ("tool:payments.create",), "", "nothing is paid today")
SCHEMA = {
    "type": "object",
    "properties": {"paid": {"type": "integer"}},
    "required": ["paid"],
    "additionalProperties": False,
}


def led(name: str, *tools: str, options: dict[str, Any] | None = None, **more: Any) -> Agent:
    """Return an agent that a model leads."""
    given: dict[str, Any] = {"models": ("*",), "runtime": Runtime("llm", options=options or {}), **more}
    return agent(name, *tools, **given)


def company(
    database: Database,
    *agents: Agent,
    rules: tuple[Rule, ...] = (),
    capabilities: tuple[Capability, ...] = (Capability.TOOLS, Capability.JSON_SCHEMA),
    limit: Money | None = None,
) -> World:
    """Return an organization with one model, a reading, a writing and a paying tool."""
    return make_world(
        database,
        agents=agents,
        tools=[
            payments(price=None),
            tool("erp.read", description="Reads one invoice"),
            tool("erp.note", effect=Effect.WRITE),
        ],
        rules=rules,
        models=[model("light", capabilities=capabilities)],
        budgets=[("all", "organization", limit)] if limit is not None else [],
    )


def play(
    world: World,
    name: str,
    answers: Sequence[Answer | UpstreamFailed],
    *,
    input: Any = "Do what is due",
    act: Callable[..., Any] | None = None,
    caller: Caller | None = None,
) -> tuple[Any, ScriptedModels, Caller]:
    """Run an agent to its end; return the run, the models' far side and the tools' far side."""
    models, caller = ScriptedModels(list(answers)), caller or Caller(read)

    async def story() -> Any:
        async with at_work(world, caller, models=models) as (aos, _):
            run_id = await aos.start(agent=name, input=input)
            if act is not None:
                await act(aos, run_id)
            run = await aos.ended(run_id)
            await aos.check_books()
            task = next(iter(aos.tasks(run_id).values()))
            timers = aos.rows("select 1 from call where kind = 'timer' and state = 'performed'")
            return {**run, "task": task, "why": aos.content(task["error_content_id"]), "timers": len(timers)}

    return asyncio.run(story()), models, caller


def read(tool: Any, arguments: Any) -> ToolOutcome:
    """Answer as the tools of a small company do."""
    if tool.name == "erp.read":
        return ToolOutcome(ok=True, value={"invoice": arguments.get("invoice"), "amount": "12"})
    return ToolOutcome(ok=True, value={"done": tool.name})


def last_message(models: ScriptedModels, at: int = -1) -> Any:
    return models.bodies[at]["messages"][-1]


async def approve(aos: Working, run_id: Any) -> None:
    (approval,) = await aos.until("select id from approval where status = 'pending'")
    await aos.answer(approval["id"])
