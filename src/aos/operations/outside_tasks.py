"""What an agent outside AOS does with its tasks: take them, renew their leases, make calls for them, end them.

One set of operations behind the gRPC stream and the HTTP twin. A task is held by its token alone, never by a connection:
whoever brings a token that stands may go on with the task, in any process. Who ends a pass ends it as a worker does: the
same verdict, the same writes. A token whose claim is gone is `stale-claim`, and nothing was written.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar
from uuid import UUID

from aos.kernel.acts import Act, Pending, Recorded, Refused
from aos.kernel.agents import Agent, AgentStatus, RuntimeKind
from aos.kernel.errors import (
    AosError,
    Conflict,
    DeadlineExceeded,
    Forbidden,
    InvalidRequest,
    RefusedAgain,
    StaleClaim,
)
from aos.kernel.identity import Principal, PrincipalKind
from aos.kernel.json import depth
from aos.kernel.limits import OUTPUT_DEPTH_MAX, REFUSALS_ALIKE_MAX, WORK_SLOTS_DEFAULT
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
from aos.operations.facts import OrganizationFacts
from aos.operations.inputs import call_records, task_input
from aos.operations.orchestration import Orchestration
from aos.operations.pass_frames import chances_of, start_frame
from aos.operations.passes import PassState, Wait, WaitKind, Waits, act_digest, begin_pass
from aos.operations.presence import PresenceNotes
from aos.operations.tasks import Taken, load_calls
from aos.operations.tokens import TaskToken
from aos_sdk.frames import Call, Result, Start

Done = TypeVar("Done")
TOLD_MAX: Final = 10_000
"""Claims of which one process remembers what it refused them."""
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
        self._presence = PresenceNotes(do.database, do.drivers.ticker.seconds)
        self._told: OrderedDict[UUID, Counter[bytes]] = OrderedDict()
        """By claim, how often this process told of the refusal of each act; the claims heard of last."""

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
            await self._presence.note(principal.organization_id, agent.id)
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

    def give_back(self, given: Sequence[Given]) -> None:
        """Give back tasks that were taken and did not reach their agent: at once, uncounted."""
        self._do.offered.give_back([each.task for each in given])

    async def held(self, token: str) -> Given:
        """Return the task of a token while its claim stands; raise Unauthenticated, StaleClaim, or Forbidden for a worker's."""
        said = await self._authenticator.task_token(token)
        task = await self._do.offered.find(said)
        facts = await self._do.facts.of(said.organization_id)
        agent = facts.agents.get(task.agent_id) if task is not None and task.agent_id is not None else None
        if task is None or agent is None:
            raise StaleClaim("the task was taken away, cancelled or ended: let go of it; nothing was written")
        if not _fetches(agent):
            raise Forbidden(f"the task is one of `{agent.name}`, which AOS runs itself: the pass under way ends it")
        return self._held(task, agent, facts)

    async def renew(self, given: Sequence[Given]) -> dict[UUID, Renewed]:
        """Renew the leases of tasks held; return those that stand by the tasks' ids. One whose time is over is ended first."""
        for each in given:
            with contextlib.suppress(DeadlineExceeded):
                await self._end_late(each)
        for organization_id, agent_id in {(each.task.organization_id, each.state.agent.id) for each in given}:
            await self._presence.note(organization_id, agent_id)
        stands = await self._do.tasks.renew([each.task for each in given])
        self._do.calls.held.update(token for token, paused in stands.items() if paused)
        return {
            each.task.id: Renewed(each.task, stands[each.task.token]) for each in given if each.task.token in stands
        }

    async def answer(self, given: Given, call: Call) -> Result:
        """Answer one call for a task, as a worker does; raises what `Calls.answer` raises.

        One that is refused as often as it may be ends the task, as it does at a worker: RefusedAgain. So does one that comes
        once the attempt's time is over: DeadlineExceeded.
        """
        await self._end_late(given)
        try:
            result = await self._do.calls.answer(given.state, call)
        except RefusedAgain as error:
            await self._end_refused(given, error)
            raise
        if result.state == "refused":
            await self._mind_refusals(given, told=self._told_again(given, call))
        return result

    def _told_again(self, given: Given, call: Call) -> int:
        """Count a refusal that this process told of, also one of the record: a new stream asks under the first key again."""
        told = self._told.setdefault(given.task.token, Counter())
        self._told.move_to_end(given.task.token)
        while len(self._told) > TOLD_MAX:
            self._told.popitem(last=False)
        alike = act_digest(call.kind, call.name, call.arguments)
        told[alike] += 1
        return told[alike]

    async def perform(self, act: Act) -> Recorded | Pending | Refused:
        """Perform an act that came by a door; the task whose token asks for a refused one again and again is ended.

        Raises what `Gate.perform` raises, and RefusedAgain. Which door or process an act comes by makes no difference.
        """
        return await self.minded(act.principal, await self._do.gate.perform(act))

    async def minded(self, principal: Principal, done: Done) -> Done:
        """Return what became of an act of `principal`; raise RefusedAgain where it was refused too often, its task ended."""
        claim, organization_id = principal.claim, principal.organization_id
        if claim is not None and isinstance(done, Refused):
            task = await self._do.offered.find(TaskToken(organization_id, claim.run_id, claim.task_id, claim.token))
            facts = await self._do.facts.of(organization_id)
            agent = facts.agents.get(task.agent_id) if task is not None and task.agent_id is not None else None
            if task is not None and agent is not None and _fetches(agent):
                await self._mind_refusals(self._held(task, agent, facts))
        return done

    async def end(self, given: Given, end: PassEnd, *, reached: Sequence[tuple[str, int]] | None = None) -> None:
        """End the pass of a task; raise StaleClaim where its claim is gone, InvalidRequest for an output that nests too deeply.

        `reached` are the calls that the pass came to: without it what it left out is not judged. A suspended pass waits for
        what its calls in this process wait for, or comes again at once. What comes once the attempt's time is over is not
        taken, as a worker takes nothing then: the pass ends as timed out, and DeadlineExceeded is raised.
        """
        if isinstance(end, Returned | Continued) and depth(end.value, at_most=OUTPUT_DEPTH_MAX) > OUTPUT_DEPTH_MAX:
            raise InvalidRequest(f"the output nests deeper than {OUTPUT_DEPTH_MAX} levels")
        await self._end_late(given)
        await self._end(given, end, reached=reached)

    async def _end_late(self, given: Given) -> None:
        """End a task whose time is over, and raise DeadlineExceeded then."""
        if given.deadline is None or self._do.facts.now() < given.deadline:
            return
        await self._end(given, Failed(TIMED_OUT, "its time was over while its agent held it"))
        told = f"the time of task `{given.task.label}` was over at {given.deadline.isoformat()}"
        raise DeadlineExceeded(f"{told}: what comes after that is not taken")

    async def _end(self, given: Given, end: PassEnd, *, reached: Sequence[tuple[str, int]] | None = None) -> None:
        task, now = given.task, self._do.facts.now()
        facts = await self._do.facts.of(task.organization_id)
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
        self._told.pop(task.token, None)
        if not written:
            raise StaleClaim(f"task `{task.label}` was taken away, cancelled or ended; nothing was written")

    def end_waits(self) -> None:
        """End every wait for tasks: this process ends."""
        self._do.offered.end_waits()

    async def drain(self) -> None:
        """Return when nothing that was begun here is unwritten."""
        await self._do.drain()

    def _held(self, task: ClaimedTask, agent: Agent, facts: OrganizationFacts) -> Given:
        start = start_frame(
            Taken(task), facts, agent, value=None, calls={}, now=self._do.facts.now(), drivers=self._do.drivers
        )
        return Given(start, task, begin_pass(task, agent), _deadline(task))

    async def _mind_refusals(self, given: Given, *, told: int = 0) -> None:
        """End a task that was refused the very same act too often in this claim; raise RefusedAgain then.

        The log is what counts, or how often this process has `told` of it: a pass outside has no one process.
        """
        task = given.task
        where = {"organization_id": task.organization_id, "task_id": task.id, "since": task.claimed_at}
        async with self._do.database.app(task.organization_id) as transaction:
            (row,) = await transaction.run("count_refusals", where)
        times = max(row["times"], told)
        if times >= REFUSALS_ALIKE_MAX:
            error = RefusedAgain(f"the same act was refused {times} times, and asked for again and again")
            await self._end_refused(given, error)
            raise error

    async def _end_refused(self, given: Given, error: RefusedAgain) -> None:
        await self.end(given, Failed(error.slug, error.detail, final=True))

    async def _take(self, organization_id: UUID, agent: Agent, tasks_max: int) -> list[Given]:
        if agent.status is not AgentStatus.RUNNING:
            return []
        taken = await self._do.offered.take(organization_id, agent.id, tasks_max)
        try:
            found = [await self._given(each, agent) for each in taken]
        except BaseException:
            self._do.offered.give_back([each.task for each in taken])
            raise
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


def _fetches(agent: Agent) -> bool:
    """Say whether an agent fetches its own tasks."""
    return agent.runtime is not None and agent.runtime.kind == RuntimeKind.WORK


def _deadline(task: ClaimedTask) -> datetime | None:
    """Return when a task's attempt is over at the latest, None where nothing says so."""
    ends = [task.deadline_at] if task.deadline_at is not None else []
    if task.work.timeout_seconds is not None:
        ends.append(task.claimed_at + timedelta(seconds=task.work.timeout_seconds, milliseconds=-task.runtime_ms))
    return min(ends, default=None)
