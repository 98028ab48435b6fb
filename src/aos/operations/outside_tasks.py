"""What an agent outside AOS does with its tasks: take them, renew their leases, make calls for them, end them.

One set of operations behind the gRPC stream and the HTTP twin. A task is held by its token alone, never by a connection:
whoever brings a token that stands may go on with the task, in any process. Who ends a pass ends it as a worker does: the
same verdict, the same writes. A token whose claim is gone is `stale-claim`, and nothing was written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from aos.kernel.agents import Agent, AgentStatus, RuntimeKind
from aos.kernel.errors import AosError, Conflict, Forbidden, InvalidRequest, StaleClaim
from aos.kernel.identity import Principal, PrincipalKind
from aos.kernel.json import depth
from aos.kernel.limits import OUTPUT_DEPTH_MAX, WORK_SLOTS_DEFAULT
from aos.kernel.workflow.passes import (
    TIMED_OUT,
    CallRecord,
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
    divergent_calls,
    judge_pass,
)
from aos.operations.authenticate import Authenticator
from aos.operations.claimed import ClaimedTask
from aos.operations.ends import completion, seal
from aos.operations.inputs import call_records, task_input
from aos.operations.orchestration import Orchestration
from aos.operations.pass_frames import chances_of, start_frame
from aos.operations.passes import PassState, Wait, WaitKind, Waits, begin_pass
from aos.operations.tasks import Taken, load_calls
from aos_sdk.frames import Call, Result, Start

GIVEN_BACK_SECONDS: Final = 1.0
"""How long a task that its agent let go of is left alone."""
LOOK_SECONDS: Final = 30.0
"""How long a wait trusts the bell and the sweep: then it looks at the agent again, and at the tasks."""


@dataclass(frozen=True, slots=True)
class Given:
    """A task that was handed out, until its time is over; `state` is what its calls in this process share."""

    start: Start
    task: ClaimedTask
    state: PassState
    deadline: datetime | None


@dataclass(frozen=True, slots=True)
class Renewed:
    """A claim that stands; a paused run's task is to be let go of at its next call."""

    task: ClaimedTask
    paused: bool


class OutsideTasks:
    """The tasks of agents outside, in one process."""

    def __init__(self, do: Orchestration, authenticator: Authenticator) -> None:
        self._do = do
        self._authenticator = authenticator

    async def agent_of(self, principal: Principal) -> Agent:
        """Return the agent that fetches its own tasks; raise Forbidden or Conflict where the caller is none."""
        facts = await self._do.facts.of(principal.organization_id)
        agent = facts.agent_of(principal)
        if agent is None or principal.claim is not None or principal.actor.kind is not PrincipalKind.AGENT:
            raise Forbidden("tasks are given to an agent, by its own key: a person or a task takes none")
        kind = agent.runtime.kind if agent.runtime is not None else "none"
        if kind != RuntimeKind.WORK:
            raise Conflict(
                f"agent `{agent.name}` has the runtime `{kind}`: give it `runtime: {{work: {{}}}}` to fetch tasks"
            )
        return agent

    async def take(self, principal: Principal, tasks_max: int, *, wait_seconds: float = 0.0) -> list[Given]:
        """Take up to so many of the caller's tasks; wait for the first where there is none, at most so long.

        Raises what `agent_of` raises, also while it waits. Cancelled, it gives back what it took.
        """
        ticker = self._do.drivers.ticker
        until = ticker.seconds() + wait_seconds
        while True:
            agent = await self.agent_of(principal)
            with self._do.offered.listening(principal.organization_id, agent.id) as event:
                given = await self._take(principal.organization_id, agent, tasks_max)
                left = until - ticker.seconds()
                if given or left <= 0 or self._do.offered.ended:
                    return given
                try:
                    async with asyncio.timeout(min(left, LOOK_SECONDS)):
                        await event.wait()
                except TimeoutError:
                    pass

    async def held(self, token: str) -> Given:
        """Return the task of a token while its claim stands; raise Unauthenticated, StaleClaim, or Forbidden for a worker's."""
        said = await self._authenticator.task_token(token)
        task = await self._do.offered.find(said)
        facts = await self._do.facts.of(said.organization_id)
        agent = facts.agents.get(task.agent_id) if task is not None and task.agent_id is not None else None
        if task is None or agent is None:
            raise StaleClaim("the task was taken away, cancelled or ended: let go of it; nothing was written")
        if agent.runtime is None or agent.runtime.kind != RuntimeKind.WORK:
            raise Forbidden(f"the task is one of `{agent.name}`, which AOS runs itself: the pass under way ends it")
        start = start_frame(
            Taken(task), facts, agent, value=None, calls={}, now=self._do.facts.now(), drivers=self._do.drivers
        )
        return Given(start, task, begin_pass(task, agent), _deadline(task))

    async def renew(self, given: Sequence[Given]) -> dict[UUID, Renewed]:
        """Renew the leases of tasks held; return those that stand by the tasks' ids. One whose time is over is ended first."""
        now = self._do.facts.now()
        for each in given:
            if each.deadline is not None and each.deadline <= now:
                await self.end(each, Failed(TIMED_OUT, "its time was over while its agent held it"))
        stands = await self._do.tasks.renew([each.task for each in given])
        self._do.calls.held.update(token for token, paused in stands.items() if paused)
        return {
            each.task.id: Renewed(each.task, stands[each.task.token]) for each in given if each.task.token in stands
        }

    async def answer(self, given: Given, call: Call) -> Result:
        """Answer one call for a task, as a worker does; raises what `Calls.answer` raises."""
        return await self._do.calls.answer(given.state, call)

    async def end(self, given: Given, end: PassEnd, *, reached: Sequence[tuple[str, int]] | None = None) -> None:
        """End the pass of a task; raise StaleClaim where its claim is gone, InvalidRequest for an output that nests too deeply.

        `reached` are the calls that the pass came to: without it what it left out is not judged. A suspended pass waits for
        what its calls in this process wait for, or comes again at once.
        """
        task = given.task
        if isinstance(end, Returned | Continued) and depth(end.value, at_most=OUTPUT_DEPTH_MAX) > OUTPUT_DEPTH_MAX:
            raise InvalidRequest(f"the output nests deeper than {OUTPUT_DEPTH_MAX} levels")
        facts = await self._do.facts.of(task.organization_id)
        now = self._do.facts.now()
        pass_ms = max(0, round((now - task.claimed_at).total_seconds() * 1_000))
        divergent = [] if reached is None else await self._divergent(task, reached)
        verdict = judge_pass(end, chances_of(task, facts, now), claims=task.claims, divergent=divergent)
        tasks = self._do.tasks
        written = False
        match verdict:
            case Park():
                waits = Waits() if given.state.is_held else given.state.waits_together()
                written = await tasks.park(task, waits, pass_ms=pass_ms)
            case GoOn(value):
                written = await tasks.go_on(task, seal(value, "input", facts, self._do.drivers), pass_ms=pass_ms)
            case Release(counted):
                written = await tasks.release(task, counted=counted, delay_seconds=GIVEN_BACK_SECONDS, pass_ms=pass_ms)
            case Succeed() | Fail() | Retry() | FallBack() | Stuck():
                agent = facts.agents.get(given.state.agent.id, given.state.agent)
                member = completion(
                    task, verdict, facts, agent=agent, pass_ms=pass_ms, ran=True, now=now, drivers=self._do.drivers
                )
                written = await tasks.complete(member)
        self._do.calls.held.discard(task.token)
        if not written:
            raise StaleClaim(f"task `{task.label}` was taken away, cancelled or ended; nothing was written")

    def end_waits(self) -> None:
        """End every wait for tasks: this process ends."""
        self._do.offered.end_waits()

    async def drain(self) -> None:
        """Return when nothing that was begun here is unwritten."""
        await self._do.drain()

    async def _take(self, organization_id: UUID, agent: Agent, tasks_max: int) -> list[Given]:
        if agent.status is not AgentStatus.RUNNING:
            return []
        taken = await self._do.offered.take(organization_id, agent.id, tasks_max)
        found = [await self._given(each, agent) for each in taken]
        return [each for each in found if each is not None]

    async def _given(self, taken: Taken, agent: Agent) -> Given | None:
        """Return a task with all that its agent may know; one whose input cannot be read is failed, and None."""
        task, drivers = taken.task, self._do.drivers
        facts = await self._do.facts.of(task.organization_id)
        calls = call_records(taken.calls, facts.tools)
        now = self._do.facts.now()
        try:
            value = task_input(taken, facts.data_keys, drivers)
            start = start_frame(taken, facts, agent, value=value, calls=calls, now=now, drivers=drivers)
        except AosError as error:
            verdict = Fail("invalid-input", error.detail)
            member = completion(task, verdict, facts, agent=agent, pass_ms=0, ran=False, now=now, drivers=drivers)
            await self._do.tasks.complete(member)
            return None
        return Given(start, task, begin_pass(task, agent, calls=len(start.history)), _deadline(task))

    async def _divergent(self, task: ClaimedTask, reached: Sequence[tuple[str, int]]) -> list[CallRecord]:
        taken = Taken(task)
        async with self._do.database.machine() as transaction:
            await load_calls(transaction, [taken])
        facts = await self._do.facts.of(task.organization_id)
        calls = call_records(taken.calls, facts.tools)
        return divergent_calls(list(calls), reached, first_attempt=task.first_attempt)


def wait_for_approval(given: Given, approval_id: UUID) -> None:
    """Have a pass that is suspended wait for an approval which a call of it was told by another door."""
    given.state.waits.append(Wait(WaitKind.APPROVAL, (approval_id,)))


def slots_of(agent: Agent) -> int:
    """Return how many tasks one stream, or one request, of an agent may hold."""
    slots = agent.runtime.options.get("slots") if agent.runtime is not None else None
    return slots if isinstance(slots, int) else WORK_SLOTS_DEFAULT


def _deadline(task: ClaimedTask) -> datetime | None:
    """Return when a task's attempt is over at the latest, None where nothing says so."""
    ends = [task.deadline_at] if task.deadline_at is not None else []
    if task.work.timeout_seconds is not None:
        ends.append(task.claimed_at + timedelta(seconds=task.work.timeout_seconds, milliseconds=-task.runtime_ms))
    return min(ends, default=None)
