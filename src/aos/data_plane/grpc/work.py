"""Work: the stream through which an agent outside takes its tasks, makes calls for them and answers them.

Rules a reader must not break:
- A task belongs to its token, not to a stream: an `Ended` or a `Call` counts on whichever stream its token arrives.
- A stream holds as many tasks as it has slots, and answers as many calls at once as a pass may have under way; what is
  beyond is not read, so that the sender waits; neither is what comes while the agent leaves answers unread.
- Only a `Beat` renews leases. A stream that is cut takes nothing with it: the leases run out, and the tasks come again.
- An organization has no more streams open at a process than calls are left there for all.
- The caller's credential is looked at again for every message and every take: a revoked key ends the stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from aos.data_plane.grpc import aos_pb2
from aos.data_plane.grpc.binding import GrpcServices
from aos.data_plane.grpc.requests import principal_of, wrong
from aos.data_plane.grpc.statuses import Context
from aos.data_plane.grpc.work_frames import call_of, end_of, result_message, start_messages
from aos.kernel.agents import Agent
from aos.kernel.errors import (
    AosError,
    DeadlineExceeded,
    Denied,
    InvalidRequest,
    RateLimited,
    RefusedAgain,
    StaleClaim,
    Unavailable,
)
from aos.kernel.identity import Principal
from aos.kernel.limits import LEASE_SECONDS
from aos.operations.outside_tasks import Given, slots_of
from aos_sdk.frames import CALLS_IN_FLIGHT_MAX, PROTOCOL

log = logging.getLogger("aos.data_plane")

HELLO_SECONDS: Final = 10.0
"""How long a stream may take to say Hello."""
TAKE_SECONDS: Final = 60.0
"""How long one take waits before it looks at the caller's credential again."""
UNREAD_MAX: Final = 64
"""Messages that wait for an agent to read them; past it nothing more of its own is read."""
AWAY_SECONDS: Final = 1.0
"""How long a stream waits where the database is away."""


class WorkStreams:
    """The Work streams of one server."""

    def __init__(self, services: GrpcServices, *, calls_max: int) -> None:
        self._services = services
        self._calls_max = calls_max
        self._open: Counter[UUID] = Counter()
        self._ending = asyncio.Event()

    def end(self) -> None:
        """Tell every stream that no more tasks come."""
        self._ending.set()

    async def work(
        self, services: GrpcServices, requests: AsyncIterator[aos_pb2.WorkRequest], context: Context
    ) -> AsyncIterator[aos_pb2.WorkResponse]:
        """Serve one stream, until either side ends it."""
        principal = await principal_of(services, context)
        agent = await services.work.agent_of(principal)
        with self._counted(principal.organization_id):
            async with contextlib.aclosing(self._served(services, requests, context, principal, agent=agent)) as served:
                async for message in served:
                    yield message

    @contextlib.contextmanager
    def _counted(self, organization_id: UUID) -> Iterator[None]:
        """Count a stream while it is open; raise RateLimited where its organization leaves too little for the others."""
        own, left = self._open[organization_id], self._calls_max - self._open.total()
        if own >= left:
            raise RateLimited(
                f"{own} Work streams of the organization are open at this process already: try again later"
            )
        self._open[organization_id] += 1
        try:
            yield
        finally:
            self._open[organization_id] -= 1
            self._open += Counter()  # forgets who has none

    async def _served(
        self,
        services: GrpcServices,
        requests: AsyncIterator[aos_pb2.WorkRequest],
        context: Context,
        principal: Principal,
        *,
        agent: Agent,
    ) -> AsyncGenerator[aos_pb2.WorkResponse, None]:
        hello = await _hello(requests)
        most = slots_of(agent)
        slots = min(hello.slots or most, most)
        stream = _Stream(services, context, principal, slots)
        welcome = aos_pb2.Welcome(
            agent=agent.name, agent_version=agent.version, slots=slots, lease_seconds=LEASE_SECONDS
        )
        yield aos_pb2.WorkResponse(welcome=welcome)
        jobs = [
            asyncio.create_task(stream.read(requests), name="work-read"),
            asyncio.create_task(stream.take(self._ending), name="work-take"),
        ]
        try:
            while (message := await stream.next()) is not None:
                yield message
            for job in jobs:
                if job.done():
                    job.result()  # what ended the stream is its status
        finally:
            for job in (*jobs, *stream.answering):
                job.cancel()
            services.work.give_back(list(stream.leaving.values()))
            await asyncio.gather(*jobs, *stream.answering, return_exceptions=True)


async def _hello(requests: AsyncIterator[aos_pb2.WorkRequest]) -> aos_pb2.Hello:
    try:
        async with asyncio.timeout(HELLO_SECONDS):
            first = await anext(aiter(requests))
    except (StopAsyncIteration, TimeoutError):
        raise wrong("/hello", "must be the first message of the stream") from None
    if first.WhichOneof("frame") != "hello":
        raise wrong("/hello", "must be the first message of the stream")
    if first.hello.protocol not in (0, PROTOCOL):
        raise wrong("/hello/protocol", f"must be {PROTOCOL}, the only one that is spoken here")
    return first.hello


@dataclass(slots=True)
class _Stream:
    """One stream at work."""

    services: GrpcServices
    context: Context
    principal: Principal
    slots: int
    held: dict[str, Given] = field(default_factory=dict)
    """By token, what this stream gave out or was told of."""
    counts: dict[UUID, dict[str, int]] = field(default_factory=dict)
    answering: set[asyncio.Task[None]] = field(default_factory=set)
    out: asyncio.Queue[aos_pb2.WorkResponse | None] = field(default_factory=asyncio.Queue)
    sent: asyncio.Event = field(default_factory=asyncio.Event)
    room: asyncio.Event = field(default_factory=asyncio.Event)
    leaving: dict[int, Given] = field(default_factory=dict)
    """Tasks that the agent has not been sent yet, by the message that completes them."""
    last: aos_pb2.WorkResponse | None = None
    calls: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CALLS_IN_FLIGHT_MAX))

    async def next(self) -> aos_pb2.WorkResponse | None:
        """Return the next message to send, None at the end; who asks has sent the one before."""
        self.leaving.pop(id(self.last), None)
        message = self.last = await self.out.get()
        self.sent.set()
        return message

    # --- what the agent sends

    async def read(self, requests: AsyncIterator[aos_pb2.WorkRequest]) -> None:
        """Answer what the agent sends, until it has said all."""
        try:
            async for request in requests:
                while self.out.qsize() >= UNREAD_MAX:
                    self.sent.clear()
                    await self.sent.wait()
                await self._check_caller()
                match request.WhichOneof("frame"):
                    case "beat":
                        await self._beat(list(request.beat.tokens))
                    case "call":
                        await self._begin(self._call(request.call))
                    case "ended":
                        await self._begin(self._ended(request.ended))
                    case _:
                        raise wrong("/", "carries a Hello, once, then Beat, Call or Ended")
            await asyncio.gather(*self.answering)
        finally:
            self.out.put_nowait(None)

    async def _check_caller(self) -> None:
        principal = await principal_of(self.services, self.context)
        if principal.actor != self.principal.actor:
            raise Denied("the stream's credential is another agent's now")
        self.principal = principal

    async def _begin(self, work: object) -> None:
        await self.calls.acquire()
        task: asyncio.Task[None] = asyncio.create_task(work)  # type: ignore[arg-type]
        self.answering.add(task)
        task.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self.answering.discard(task)
        self.calls.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a Work stream could not answer", exc_info=error)
            self.out.put_nowait(None)

    async def _beat(self, tokens: list[str]) -> None:
        for token in tokens:
            if token not in self.held:
                try:
                    await self._given(token)
                except StaleClaim as error:
                    task_id = str((await self.services.authenticator.task_token(token)).task_id)
                    self._cancel(task_id, error.detail)
        given = [each for token, each in self.held.items() if not tokens or token in tokens]
        try:
            stands = await self.services.work.renew(given)
        except Unavailable:
            return  # the next beat renews them
        for each in given:
            if each.task.id not in stands:
                self._drop(each)
                self._cancel(each.start.task_id, "it was taken away, cancelled, or its time was over")

    async def _call(self, asked: aos_pb2.Call) -> None:
        task_id, given = "", None
        try:
            given = await self._given(asked.token)
            task_id = given.start.task_id
            call = call_of(given, asked, self.counts.setdefault(given.task.id, {}))
            result = await self.services.work.answer(given, call)
            self.out.put_nowait(result_message(given, result))
        except (DeadlineExceeded, RefusedAgain) as error:  # its task has ended
            self._not_answered(task_id, asked.call_id, error)
            if given is not None:
                self._drop(given)
                self._cancel(task_id, error.detail)
        except AosError as error:
            self._not_answered(task_id, asked.call_id, error)

    def _not_answered(self, task_id: str, call_id: int, error: AosError) -> None:
        """Tell of a call that came to nothing: nothing of it is recorded, and it may be made again under the same key."""
        told = aos_pb2.Error(slug=error.slug, detail=error.detail, reasons=error.reasons)
        result = aos_pb2.Result(task_id=task_id, call_id=call_id, state="failed", error=told)
        self.out.put_nowait(aos_pb2.WorkResponse(result=result))

    async def _ended(self, ended: aos_pb2.Ended) -> None:
        task_id = ""
        try:
            given = await self._given(ended.token)
            task_id = given.start.task_id
            end = end_of(ended)
            reached = [(each.key, each.tries) for each in ended.reached] or None
            try:
                await self.services.work.end(given, end, reached=reached)
            except (Unavailable, InvalidRequest):
                raise  # the task is held yet, and another Ended may come
            except AosError:
                self._drop(given)
                raise
            self._drop(given)
            closed = aos_pb2.Closed(task_id=task_id)
        except AosError as error:
            told = aos_pb2.Error(slug=error.slug, detail=error.detail, reasons=error.reasons)
            closed = aos_pb2.Closed(task_id=task_id, error=told)
        self.out.put_nowait(aos_pb2.WorkResponse(closed=closed))

    async def _given(self, token: str) -> Given:
        """Return the task of a token that this agent holds; one that another stream gave out is looked up."""
        given = self.held.get(token)
        if given is None:
            given = await self.services.work.held(token)
            if given.state.agent.id != self.principal.actor.id:
                raise StaleClaim("the token is of another agent's task")
            self.held[token] = given
        return given

    def _drop(self, given: Given) -> None:
        self.held.pop(given.start.token, None)
        self.counts.pop(given.task.id, None)
        self.room.set()

    def _cancel(self, task_id: str, reason: str) -> None:
        self.out.put_nowait(aos_pb2.WorkResponse(cancel=aos_pb2.Cancel(task_id=task_id, reason=reason)))

    # --- what the agent is sent

    async def take(self, ending: asyncio.Event) -> None:
        """Hand out tasks as slots are free, until the server ends."""
        told = asyncio.create_task(ending.wait())
        try:
            while not ending.is_set():
                self.room.clear()
                free = self.slots - len(self.held)
                work = asyncio.create_task(self._take(free) if free > 0 else self._wait_for_room())
                try:
                    await asyncio.wait([work, told], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    # Also where the stream ends: what it takes then would reach nobody and wait out its lease.
                    if not work.done():
                        work.cancel()
                        await asyncio.gather(work, return_exceptions=True)
                if not work.cancelled():
                    work.result()
            goaway = aos_pb2.Goaway(reason="this process ends; connect again for more tasks")
            self.out.put_nowait(aos_pb2.WorkResponse(goaway=goaway))
        except BaseException:
            self.out.put_nowait(None)
            raise
        finally:
            told.cancel()

    async def _take(self, free: int) -> None:
        await self._check_caller()
        try:
            given = await self.services.work.take(self.principal, free, wait_seconds=TAKE_SECONDS)
        except Unavailable:
            await asyncio.sleep(AWAY_SECONDS)
            return
        for each in given:
            self.held[each.start.token] = each
            messages = list(start_messages(each))
            self.leaving[id(messages[-1])] = each
            for message in messages:
                self.out.put_nowait(message)

    async def _wait_for_room(self) -> None:
        await self.room.wait()
