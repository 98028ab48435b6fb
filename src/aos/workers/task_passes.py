"""One claimed task, from its claim to the write that ends the claim: started, run, and ended, parked or given back.

Whatever happens, exactly one of those is written, or nothing because the claim is gone. No error of one task reaches
another.
"""

from __future__ import annotations

import logging
from contextlib import suppress

from aos.kernel.agents import Agent, AgentStatus, RuntimeKind
from aos.kernel.errors import AosError, Conflict, RefusedAgain, Unavailable
from aos.kernel.json import Json
from aos.kernel.money import parse_money
from aos.kernel.workflow.passes import (
    AGENT_CODES,
    TIMED_OUT,
    CallRecord,
    Chances,
    Continued,
    Fail,
    Failed,
    FallBack,
    GoOn,
    Park,
    PassEnd,
    Release,
    Retry,
    Returned,
    Stuck,
    Succeed,
    Suspended,
    Vanished,
    divergent_calls,
    judge_failure,
    judge_pass,
    poisonous,
)
from aos.kernel.workflow.plan import expand_fan, is_wanted
from aos.operations.claimed import ClaimedTask
from aos.operations.ends import CONDITION, End, Skip, completion, seal
from aos.operations.facts import OrganizationFacts
from aos.operations.inputs import call_records, task_input, task_values
from aos.operations.nested import Begun, StillOpen
from aos.operations.orchestration import Orchestration
from aos.operations.pass_frames import chances_of, is_graph, seconds_left, start_frame
from aos.operations.passes import PassState, Wait, WaitKind, Waits, begin_pass
from aos.operations.starts import AskedFirst, NotStarted, Started
from aos.operations.task_budgets import open_task_budget
from aos.operations.tasks import Taken
from aos.operations.undo import UNDO
from aos.workers.engine import Engine, PostgresEngine
from aos.workers.runners import Died, Runners, entry_of
from aos.workers.undo import UndoPasses
from aos_sdk.frames import Ended, Start

_log = logging.getLogger(__name__)

PAUSED_AGENT_SECONDS = 5.0
"""How long a task of a paused agent is left alone before it is looked at again."""
UNAVAILABLE_SECONDS = 1.0
STILL_OPEN_SECONDS = 5.0
"""How long a task is left alone that was woken though the run that it waits for has not ended."""


class TaskPasses:
    """Works on claimed tasks."""

    def __init__(self, orchestration: Orchestration, runners: Runners, engine: Engine | None = None) -> None:
        self._do = orchestration
        self._engine = engine or PostgresEngine(orchestration.tasks)
        self._runners = runners
        self._undo = UndoPasses(orchestration, self._engine)
        self.running = 0
        """Passes whose agents run now."""

    async def work_on(self, taken: Taken) -> None:
        """Bring one claim to its end. Raises StaleClaim where it is gone; every other error of AOS gives it back."""
        task = taken.task
        facts = await self._do.facts.of(task.organization_id)
        agent = facts.agents.get(task.agent_id) if task.agent_id is not None else None
        early = await self._early_end(taken, facts)
        if early is not None:
            await self._end(task, early, facts, agent=agent)
        elif task.kind == UNDO:
            await self._undo.work_on(taken, facts)
        elif task.is_fan:
            await self._work_on_fan(taken, facts)
        elif task.is_workflow:
            await self._work_on_workflow(taken, facts)
        elif agent is None or agent.status in (AgentStatus.RETIRED, AgentStatus.QUARANTINED, AgentStatus.ERRORED):
            state = "gone" if agent is None else agent.status.value
            name = agent.name if agent is not None else task.work.agent
            detail = f"agent `{name}` is {state}"
            verdict = FallBack if self._chances(task, facts).has_fallback else Fail
            await self._end(task, verdict("agent-not-running", detail), facts, agent=agent)
        elif agent.status is AgentStatus.PAUSED:
            await self._engine.cancel(task, delay_seconds=PAUSED_AGENT_SECONDS)
        else:
            await self._work_on_agent(taken, facts, agent)

    async def _early_end(self, taken: Taken, facts: OrganizationFacts) -> End | None:
        """Return how a task ends without being worked on, None where it is to be."""
        task = taken.task
        if task.upstream_failed:
            return Skip()
        left = self._seconds_left(task)
        if left is not None and left <= 0:
            await self._leave_nested(task, facts)
            return Fail(TIMED_OUT, f"it took longer than {task.work.total_timeout_seconds or 0:g} s in all")
        if task.work.when is None or task.started:
            return None
        try:
            return (
                None if is_wanted(task.work, task_values(taken, facts.data_keys, self._do.drivers)) else Skip(CONDITION)
            )
        except Unavailable:
            raise
        except AosError as error:
            return Fail("invalid-condition", error.detail)

    def _seconds_left(self, task: ClaimedTask) -> float | None:
        return seconds_left(task, self._do.facts.now())

    def _chances(self, task: ClaimedTask, facts: OrganizationFacts) -> Chances:
        return chances_of(task, facts, self._do.facts.now())

    # --- tasks that are runs of another workflow -------------------------------------------------------------------------

    async def _work_on_workflow(self, taken: Taken, facts: OrganizationFacts) -> None:
        task = taken.task
        if task.started:
            match await self._do.nested.collect(task, facts):
                case Returned(value):
                    await self._end(task, Succeed(value), facts, agent=None)
                    return
                case Failed() as failed:
                    await self._end(task, judge_failure(failed, self._chances(task, facts)), facts, agent=None)
                    return
                case StillOpen():
                    await self._engine.cancel(task, delay_seconds=STILL_OPEN_SECONDS)
                    return
                case None:
                    pass
        try:
            value = task_input(taken, facts.data_keys, self._do.drivers)
        except AosError as error:
            await self._end(task, Fail("invalid-input", error.detail), facts, agent=None)
            return
        match await self._do.nested.start(task, value):
            case NotStarted(code, detail):
                await self._end(task, Fail(code, detail), facts, agent=None)
            case AskedFirst(approval_id):
                await self._do.tasks.park(task, Waits((Wait(WaitKind.APPROVAL, (approval_id,)),)))
            case Begun():
                pass

    async def _leave_nested(self, task: ClaimedTask, facts: OrganizationFacts) -> None:
        """Cancel the run that a task waits for no longer."""
        if not task.is_workflow or not task.started:
            return
        child = await self._do.nested.collect(task, facts)
        if isinstance(child, StillOpen):
            with suppress(Conflict):
                await self._do.runs.cancel_run(task.asker, child.run_id)

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
                    await self._do.tasks.park(task, Waits((Wait(WaitKind.APPROVAL, (approval_id,)),)))
                    return
                case Started():
                    pass
        await self._run_pass(taken, facts, agent, value=value)

    async def _run_pass(self, taken: Taken, facts: OrganizationFacts, agent: Agent, *, value: Json) -> None:
        task, ticker = taken.task, self._do.drivers.ticker
        if task.claims or any(row["state"] == "intended" for row in taken.calls):
            await self._do.abandon_calls(taken)
        if not taken.calls and agent.runtime is not None and (limit := agent.runtime.options.get("budget")):
            # Whoever claimed it before may have died first; the same budget again changes nothing.
            await open_task_budget(self._do.database, task, parse_money(str(limit)), drivers=self._do.drivers)
        if agent.runtime is not None and agent.runtime.kind == RuntimeKind.WORK:
            await self._do.offered.offer(task)
            return
        calls = call_records(taken.calls, facts.tools)
        assert agent.runtime is not None
        start = start_frame(
            taken,
            facts,
            agent,
            value=value,
            calls=calls,
            entry=entry_of(agent.runtime),
            now=self._do.facts.now(),
            drivers=self._do.drivers,
        )
        state = begin_pass(task, agent, calls=len(start.history))
        began = ticker.seconds()
        self.running += 1
        try:
            end, reached = await self._pass_end(state, start)
        finally:
            self.running -= 1
        pass_ms = round((ticker.seconds() - began) * 1_000)
        divergent: list[CallRecord] = []
        if calls and reached is not None and not is_graph(agent):  # a graph leaves out what lies before its checkpoint
            divergent = divergent_calls(list(calls), reached, first_attempt=task.first_attempt)
        verdict = judge_pass(end, self._chances(task, facts), claims=task.claims, divergent=divergent)
        match verdict:
            case Park():
                waits = Waits() if state.is_held else state.waits_together()
                await self._do.tasks.park(task, waits, pass_ms=pass_ms)
            case GoOn(value):
                await self._do.tasks.go_on(task, seal(value, "input", facts, self._do.drivers), pass_ms=pass_ms)
            case Release(counted):
                delay = 0.0 if counted else UNAVAILABLE_SECONDS
                give_back = self._engine.fail if counted else self._engine.cancel
                await give_back(task, delay_seconds=delay, pass_ms=pass_ms)
            case Succeed() | Fail() | Retry() | FallBack() | Stuck():
                await self._end(task, verdict, facts, agent=agent, pass_ms=pass_ms, ran=True)

    async def _pass_end(self, state: PassState, start: Start) -> tuple[PassEnd, list[tuple[str, int]] | None]:
        """Run the pass and return how it ended, and which calls it came to: None where it was cut off before its end."""
        task = state.task
        left = self._seconds_left(task)
        if task.work.timeout_seconds is not None:
            of_attempt = task.work.timeout_seconds - task.runtime_ms / 1_000
            if of_attempt <= 0:
                return Failed(TIMED_OUT, f"the attempt took longer than {task.work.timeout_seconds:g} s"), None
            left = of_attempt if left is None else min(left, of_attempt)
        runner = self._runners.runner_of(state.agent)
        try:
            ended = await runner.run_pass(start, lambda call: self._do.calls.answer(state, call), timeout_seconds=left)
        except RefusedAgain as error:
            return Failed(error.slug, error.detail, final=True), None
        if isinstance(ended, Ended):
            return _end_of(ended), list(ended.reached)
        return _end_of_died(ended), None

    async def _end(
        self,
        task: ClaimedTask,
        verdict: End,
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
        await self._engine.complete(member)

    async def park_as_stuck(self, task: ClaimedTask) -> None:
        """Have a task that was claimed too often wait for a person; the claim is the sweep's own."""
        facts = await self._do.facts.of(task.organization_id)
        agent = facts.agents.get(task.agent_id) if task.agent_id is not None else None
        ran = task.started and not task.is_fan and not task.is_workflow
        await self._end(task, poisonous(task.claims), facts, agent=agent, ran=ran)


def _end_of(ended: Ended) -> PassEnd:
    match ended.outcome:
        case "returned":
            return Returned(ended.value)
        case "suspended":
            return Suspended()
        case "continued":
            return Continued(ended.value)
        case "cancelled":
            return Vanished(counted=False)
        case "raised":
            error = ended.error
            if error is not None:
                _log.warning(
                    "an agent raised %s", error.type, extra={"task": ended.task_id, "traceback": error.traceback}
                )
            told = f"{error.type}: {error.message}" if error is not None else "the function raised"
            if error is not None and error.where:
                told = f"{told} ({error.where})"
            name = error.type if error is not None else ""
            if error is not None and error.code in AGENT_CODES:
                return Failed(error.code, error.message, error_class=name)
            return Failed("memory-limit" if name == "MemoryError" else "raised", told, error_class=name)


def _end_of_died(died: Died) -> PassEnd:
    if died.code:
        return Failed(died.code, died.reason)
    if died.timed_out:
        return Failed(TIMED_OUT, died.reason)
    return Vanished(died.counted)
