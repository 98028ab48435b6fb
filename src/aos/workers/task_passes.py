"""One claimed task, from its claim to the write that ends the claim: started, run, and ended, parked or given back.

Whatever happens, exactly one of those is written, or nothing because the claim is gone. No error of one task reaches
another.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import msgspec

from aos.kernel.agents import Agent, AgentStatus
from aos.kernel.errors import AosError, Unavailable
from aos.kernel.json import Json
from aos.kernel.workflow.passes import (
    CallRecord,
    Fail,
    Failed,
    Park,
    PassEnd,
    Release,
    Retry,
    Returned,
    Succeed,
    Suspended,
    Vanished,
    divergent_calls,
    judge_pass,
)
from aos.kernel.workflow.plan import expand_fan
from aos.operations.claimed import ClaimedTask
from aos.operations.ends import Skip, completion
from aos.operations.facts import OrganizationFacts
from aos.operations.inputs import call_records, pass_history, run_goal, task_input, task_values
from aos.operations.orchestration import Orchestration
from aos.operations.passes import PassState, begin_pass
from aos.operations.starts import AskedFirst, NotStarted, Started
from aos.operations.tasks import Taken
from aos.operations.tokens import TaskToken, make_task_token
from aos.workers.runners import Died, Runners
from aos_sdk.frames import Ended, PassContext, Start

_log = logging.getLogger(__name__)

PAUSED_AGENT_SECONDS = 5.0
"""How long a task of a paused agent is left alone before it is looked at again."""
UNAVAILABLE_SECONDS = 1.0


class TaskPasses:
    """Works on claimed tasks."""

    def __init__(self, orchestration: Orchestration, runners: Runners) -> None:
        self._do = orchestration
        self._runners = runners

    async def work_on(self, taken: Taken) -> None:
        """Bring one claim to its end. Raises StaleClaim where it is gone; every other error of AOS gives it back."""
        task = taken.task
        facts = await self._do.facts.of(task.organization_id)
        agent = facts.agents.get(task.agent_id)
        if task.upstream_failed:
            await self._end(task, Skip(), facts, agent=agent)
        elif task.is_fan:
            await self._work_on_fan(taken, facts)
        elif agent is None or agent.status in (AgentStatus.RETIRED, AgentStatus.QUARANTINED, AgentStatus.ERRORED):
            state = "gone" if agent is None else agent.status.value
            await self._end(
                task, Fail("agent-not-running", f"agent `{task.work.agent}` is {state}"), facts, agent=agent
            )
        elif agent.status is AgentStatus.PAUSED:
            await self._do.tasks.release(task, counted=False, delay_seconds=PAUSED_AGENT_SECONDS)
        else:
            await self._work_on_agent(taken, facts, agent)

    # --- tasks that run once for each item -----------------------------------------------------------------------------

    async def _work_on_fan(self, taken: Taken, facts: OrganizationFacts) -> None:
        task, keys, drivers = taken.task, facts.data_keys, self._do.drivers
        if task.started:
            collected = await self._do.fans.collect(task, facts)
            if collected is not None:
                await self._end(task, collected, facts, agent=None)
                return
        else:
            await self._do.starts.start(task, None, None)
        try:
            inputs = expand_fan(task.work, task_values(taken, keys, drivers))
            if inputs:
                await self._do.fans.expand(task, inputs, facts)
                return
            verdict: Succeed | Fail = Succeed([])
        except Unavailable:
            raise
        except AosError as error:
            verdict = Fail("invalid-items", error.detail)
        await self._end(task, verdict, facts, agent=None)

    # --- tasks of an agent ---------------------------------------------------------------------------------------------

    async def _work_on_agent(self, taken: Taken, facts: OrganizationFacts, agent: Agent) -> None:
        task = taken.task
        try:
            value = task_input(taken, facts.data_keys, self._do.drivers)
        except AosError as error:
            await self._end(task, Fail("invalid-input", error.detail), facts, agent=agent)
            return
        if not task.started:
            match await self._do.starts.start(task, agent, value):
                case NotStarted(code, detail):
                    await self._end(task, Fail(code, detail), facts, agent=agent)
                    return
                case AskedFirst(approval_id):
                    await self._do.tasks.park(task, approvals=[approval_id])
                    return
                case Started():
                    pass
        await self._run_pass(taken, facts, agent, value=value)

    async def _run_pass(self, taken: Taken, facts: OrganizationFacts, agent: Agent, *, value: Json) -> None:
        task, ticker = taken.task, self._do.drivers.ticker
        if task.claims or any(row["state"] == "intended" for row in taken.calls):
            await self._do.abandon_calls(taken)
        calls = call_records(taken.calls, facts.tools)
        start = self._start(taken, facts, agent, value=value, calls=calls)
        state = begin_pass(task, agent)
        began = ticker.seconds()
        end, reached = await self._pass_end(state, start)
        pass_ms = round((ticker.seconds() - began) * 1_000)
        divergent = divergent_calls(list(calls), reached) if calls else []
        verdict = judge_pass(
            end,
            task.work.retry,
            task_id=task.id,
            attempt=task.attempt,
            claims=task.claims,
            divergent=divergent,
        )
        match verdict:
            case Park():
                tasks = self._do.tasks
                await tasks.park(task, children=state.children, approvals=state.approvals, pass_ms=pass_ms)
            case Release(counted):
                delay = 0.0 if counted else UNAVAILABLE_SECONDS
                await self._do.tasks.release(task, counted=counted, delay_seconds=delay, pass_ms=pass_ms)
            case Succeed() | Fail() | Retry():
                await self._end(task, verdict, facts, agent=agent, pass_ms=pass_ms, ran=True)

    async def _pass_end(self, state: PassState, start: Start) -> tuple[PassEnd, list[tuple[str, int]]]:
        """Run the pass and return how it ended, and which calls it came to."""
        task = state.task
        left: float | None = None
        if task.work.timeout_seconds is not None:
            left = task.work.timeout_seconds - task.runtime_ms / 1_000
            if left <= 0:
                return Failed("timed-out", f"the attempt took longer than {task.work.timeout_seconds:g} s"), []
        runner = self._runners.runner_of(state.agent)
        ended = await runner.run_pass(start, lambda call: self._do.calls.answer(state, call), timeout_seconds=left)
        if isinstance(ended, Ended):
            return _end_of(ended), list(ended.reached)
        return _end_of_died(ended), []

    def _start(
        self,
        taken: Taken,
        facts: OrganizationFacts,
        agent: Agent,
        *,
        value: Json,
        calls: dict[CallRecord, Mapping[str, Any]],
    ) -> Start:
        task, keys, drivers = taken.task, facts.data_keys, self._do.drivers
        token = TaskToken(task.organization_id, task.run_id, task.id, task.token)
        clock = task.run.clock(self._do.facts.now())
        assert agent.runtime is not None
        context = PassContext(
            run_id=str(task.run_id),
            agent=agent.name,
            agent_version=agent.version,
            run_name=task.run.name,
            attempt=task.attempt,
            goal=run_goal(taken, keys, drivers) or agent.goal,
            objectives=msgspec.to_builtins(agent.objectives),
            labels=dict(task.run.labels),
            clock=clock.isoformat() if clock is not None else None,
        )
        return Start(
            task_id=str(task.id),
            token=make_task_token(token, facts.key("token").private),
            entry=agent.runtime.entry,
            context=context,
            input=value,
            history=pass_history(task, calls, keys, drivers=drivers) if calls else [],
        )

    async def _end(
        self,
        task: ClaimedTask,
        verdict: Succeed | Fail | Retry | Skip,
        facts: OrganizationFacts,
        *,
        agent: Agent | None,
        pass_ms: int = 0,
        ran: bool = False,
    ) -> None:
        member = completion(
            task,
            verdict,
            facts,
            agent=agent,
            pass_ms=pass_ms,
            ran=ran,
            now=self._do.facts.now(),
            drivers=self._do.drivers,
        )
        await self._do.tasks.complete(member)

    async def end_as_poison(self, task: ClaimedTask) -> None:
        """End a task that was claimed too often; the claim is the sweep's own."""
        facts = await self._do.facts.of(task.organization_id)
        agent = facts.agents.get(task.agent_id)
        verdict = Fail("poison", f"the task ended its worker or host {task.claims} times")
        await self._end(task, verdict, facts, agent=agent, ran=task.started and not task.is_fan)


def _end_of(ended: Ended) -> PassEnd:
    match ended.outcome:
        case "returned":
            return Returned(ended.value)
        case "suspended":
            return Suspended()
        case "cancelled":
            return Vanished(counted=False)
        case "raised":
            error = ended.error
            if error is not None:
                _log.warning(
                    "an agent raised %s", error.type, extra={"task": ended.task_id, "traceback": error.traceback}
                )
            told = f"{error.type}: {error.message}" if error is not None else "the function raised"
            return Failed("raised", told)


def _end_of_died(died: Died) -> PassEnd:
    if died.timed_out:
        return Failed("timed-out", died.reason)
    return Vanished(died.counted)
