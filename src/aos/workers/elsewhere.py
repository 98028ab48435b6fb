"""Agents that run elsewhere: a task is sent, then looked after from time to time, parked in between.

The pass is a coroutine of AOS's own under the same replay as an agent's: what was sent and seen is recorded as steps, and
between two looks the task sleeps by a timer and holds no worker, for hours if need be. A worker that dies between sending
and recording sends the same message again, under the same id. Whatever ends our task otherwise is told to the far side by
the duty that `RemoteTasks` works for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from aos.kernel.a2a import backoff_seconds
from aos.kernel.agents import Agent, RuntimeKind
from aos.kernel.errors import UpstreamFailed
from aos.kernel.json import Json
from aos.operations.authenticate import Authenticator
from aos.operations.budgets_left import budget_left
from aos.operations.facts import OrganizationFacts
from aos.operations.orchestration import Orchestration
from aos.operations.remote_agents import NotSent, Outgoing, Place, RemoteAgents, RemoteFailed, Seen, Standing, terms_of
from aos.operations.remote_tasks import RemoteTasks
from aos.operations.run_facts import RunFactsCache
from aos.workers.inline import TimedOut, run_here
from aos.workers.runners import AgentRunner, OnCall
from aos_sdk.context import AsyncContext
from aos_sdk.frames import Ended, Raised, Start

FIRST_LOOK_SECONDS: Final = 0.25
LOOK_SECONDS_MAX: Final = 30.0
"""How long a task is left alone between two looks, the first time and at most."""
LOOKS_MAX: Final = 500
"""Looks of one history; then the task goes on with a fresh one."""
TRIES_MAX: Final = 8
"""How often in a row the far side may be out of reach before the task fails: two minutes."""
TRY_SECONDS_MAX: Final = 60.0


class Elsewhere:
    """Returns the runner of each agent that runs elsewhere."""

    def __init__(self, orchestration: Orchestration) -> None:
        self._do = orchestration
        self._runs = RunFactsCache(orchestration.database, orchestration.facts, orchestration.drivers)
        self.tasks = RemoteTasks(orchestration.database, orchestration.facts, orchestration.drivers)
        self._agents = RemoteAgents(orchestration.drivers)
        self._authenticator = Authenticator(orchestration.database, orchestration.facts)

    def runner_of(self, agent: Agent) -> AgentRunner:
        """Return the runner of one agent."""
        return _Runner(self, agent)

    async def run_pass(
        self, agent: Agent, start: Start, on_call: OnCall, *, timeout_seconds: float | None
    ) -> Ended | TimedOut:
        """Run one pass of a task of an agent elsewhere."""
        principal = await self._authenticator.principal(start.token)
        facts = await self._do.facts.of(principal.organization_id)
        left = await budget_left(self._do.database, self._do.facts, self._runs, principal=principal, agent=agent)
        until = None if timeout_seconds is None else self._do.facts.now() + timedelta(seconds=timeout_seconds)
        outgoing = Outgoing(
            message_id=await self.tasks.message_of(
                agent, organization_id=facts.id, task_id=UUID(start.task_id), attempt=start.context.attempt
            ),
            run_id=UUID(start.context.run_id),
            task_id=UUID(start.task_id),
            goal=start.context.goal,
            input=start.input,
            budget_left=left,
            deadline=until,
        )
        work = _Pass(self._agents, self.tasks, agent, facts, outgoing, start.context.attempt)
        assert agent.runtime is not None
        function = work.post if agent.runtime.kind == RuntimeKind.HTTP else work.delegate
        return _unplaced(await run_here(function, start, on_call, timeout_seconds=timeout_seconds))


@dataclass(frozen=True, slots=True)
class _Runner:
    """The `AgentRunner` of one agent elsewhere."""

    elsewhere: Elsewhere
    agent: Agent

    async def run_pass(
        self, start: Start, on_call: OnCall, *, timeout_seconds: float | None = None
    ) -> Ended | TimedOut:
        return await self.elsewhere.run_pass(self.agent, start, on_call, timeout_seconds=timeout_seconds)


@dataclass(frozen=True, slots=True)
class _Pass:
    """One pass: the coroutine functions that stand for an agent's own. Between calls they do the same each time."""

    agents: RemoteAgents
    tasks: RemoteTasks
    agent: Agent
    facts: OrganizationFacts
    outgoing: Outgoing
    attempt: int

    async def delegate(self, ctx: AsyncContext) -> Json:
        """Send the task by A2A, look after it until it has ended, and return its output."""
        # Only a fresh history's input is AOS's own: what the first was given is the user's, whatever it looks like.
        seen = ctx.input if ctx.generation else await self._tried(ctx, "send", self._send)
        looks = 0
        while seen["standing"] not in (Standing.DONE, Standing.FAILED):
            if looks == LOOKS_MAX:
                await ctx.continue_as_new(seen)
            looks += 1
            await ctx.sleep(backoff_seconds(looks, first=FIRST_LOOK_SECONDS, most=LOOK_SECONDS_MAX))
            place = Place(seen["endpoint"], seen["tenant"], seen["terms"])
            seen = await self._tried(ctx, "look", self._look(place, seen))
        if seen["standing"] == Standing.FAILED:
            raise RemoteFailed(seen["reason"])
        return seen["output"]  # type: ignore[no-any-return]

    async def post(self, ctx: AsyncContext) -> Json:
        """Send the task by one POST and return what is answered."""

        async def once() -> dict[str, Any]:
            assert self.agent.runtime is not None
            await self._note(Place(str(self.agent.runtime.options["url"]), "", terms_of(self.agent)))
            try:
                done = {"output": await self.agents.post(self.agent, self.facts, outgoing=self.outgoing)}
            except RemoteFailed:
                await self._answered()
                raise
            await self._answered()
            return done

        return (await self._tried(ctx, "post", once))["output"]  # type: ignore[no-any-return]

    async def _tried(
        self, ctx: AsyncContext, name: str, once: Callable[[], Awaitable[dict[str, Any]]]
    ) -> dict[str, Any]:
        """Return what a step came to, made again after a pause while the far side is out of reach.

        What an attempt was told is its own: the next one asks anew.
        """
        if self.attempt > 1:
            name = f"{name}-{self.attempt}"
        for tries in range(1, TRIES_MAX + 1):
            done = await ctx.step(name, _told(once))
            if "error" not in done:
                return done  # type: ignore[no-any-return]
            if not done["again"] or tries == TRIES_MAX:
                raise RemoteFailed(done["error"])
            await ctx.sleep(backoff_seconds(tries, first=1.0, most=TRY_SECONDS_MAX))
        raise AssertionError("the last try returns or raises")

    async def _send(self) -> dict[str, Any]:
        """Send the task; once begun it is finished whatever becomes of this worker's claim, so that it can be taken back."""
        return await asyncio.shield(asyncio.ensure_future(self._sent()))

    async def _sent(self) -> dict[str, Any]:
        place = await self.agents.locate(self.agent, self.facts)
        await self._note(place)
        seen = await self.agents.send(self.agent, self.facts, place, outgoing=self.outgoing)
        return await self._kept(place, seen)

    def _look(self, place: Place, last: dict[str, Any]) -> Callable[[], Awaitable[dict[str, Any]]]:
        async def once() -> dict[str, Any]:
            task_id = last["task_id"]
            if last["standing"] == Standing.ALLOWED:
                sending = self.agents.go_on(self.agent, self.facts, place, outgoing=self.outgoing, task_id=task_id)
                return await self._kept(place, await sending)
            try:
                seen = await self.agents.look(self.agent, self.facts, place, task_id=task_id)
            except UpstreamFailed as error:
                raise NotSent(error.detail) from error  # a look may be repeated
            return await self._kept(place, seen)

        return once

    async def _kept(self, place: Place, seen: Seen) -> dict[str, Any]:
        """Note what is left to be told to the far side, and return what was seen as it is recorded."""
        if seen.standing is Standing.DONE or (seen.standing is Standing.FAILED and not seen.is_open):
            await self._note(place, seen.task_id)
            await self._answered()
        else:
            await self._note(place, seen.task_id)
        return {
            "endpoint": place.endpoint,
            "tenant": place.tenant,
            "terms": place.terms,
            "task_id": seen.task_id,
            "standing": seen.standing.value,
            "output": seen.output,
            "reason": seen.reason,
        }

    async def _answered(self) -> None:
        """Note that the far side has answered for good: another attempt is another message."""
        await self.tasks.ended(
            organization_id=self.facts.id, task_id=self.outgoing.task_id, message_id=self.outgoing.message_id
        )

    async def _note(self, place: Place, remote_task_id: str | None = None) -> None:
        await self.tasks.note(
            self.agent,
            place,
            organization_id=self.facts.id,
            task_id=self.outgoing.task_id,
            message_id=self.outgoing.message_id,
            attempt=self.attempt,
            remote_task_id=remote_task_id,
        )


def _unplaced(ended: Ended | TimedOut) -> Ended | TimedOut:
    """Return an end without the line of our own code that it came through: there is no author's to show."""
    if not isinstance(ended, Ended) or ended.error is None:
        return ended
    return msgspec.structs.replace(ended, error=Raised(ended.error.type, ended.error.message))


def _told(once: Callable[[], Awaitable[dict[str, Any]]]) -> Callable[[], Awaitable[dict[str, Any]]]:
    """Return a step that says why it failed, and whether it may be made again, rather than raise."""

    async def step() -> dict[str, Any]:
        try:
            return await once()
        except RemoteFailed as error:
            return {"error": str(error), "again": False}
        except NotSent as error:
            return {"error": f"it cannot be reached: {error}", "again": True}
        except UpstreamFailed as error:
            return {"error": f"it was sent, and whether it arrived is not known: {error.detail}", "again": False}

    return step
