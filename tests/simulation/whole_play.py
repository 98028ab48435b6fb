"""The whole simulation: several workers and a front on one database, moved step by step as a seed draws it.

First there is trouble: processes die between any two steps, stand still, lose their connections, stop when asked to, bells
are lost or doubled, the clock jumps past leases and deadlines, runs are steered, approvals answered. Then nothing more is
injected, and everything must come to its end.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from aos.drivers.crypto import StandardCrypto
from aos.kernel.errors import AosError
from aos.kernel.identity import ChainLink, Principal, PrincipalKind
from aos.kernel.limits import LEASE_SECONDS
from aos.kernel.people import Actor, Role
from aos.kernel.tools import ToolTransport
from aos.operations.approvals import Answer
from aos.operations.drivers import Drivers
from aos.operations.facts import FactsCache
from aos.operations.gate import Gate
from aos.operations.orchestration import Orchestration, orchestration
from aos.operations.run_facts import RunFactsCache
from aos.operations.runs import RunStarted
from aos.operations.signals import SignalRequest, SignalSent
from aos.workers.inline import InlineRunner
from aos.workers.runners import Runners
from aos.workers.worker import Worker, WorkerConfig
from tests.simulation.stepper import ANY_STEP, Broken, Process, Stage, stepped_database
from tests.simulation.virtual_loop import VirtualLoop
from tests.simulation.whole_book import Book, BookCaller
from tests.simulation.whole_checks import Checks
from tests.simulation.whole_company import Company, Ordered, SeededIds

WORKERS = 2
TROUBLE_STEPS = (100, 200, 400, 800, 1_600)
CHECK_STEPS = 40
BELL_STEPS = 6
CALM_SECONDS_MAX = 600.0
HALT_SECONDS = 90.0
LULL_UNTIL_SECONDS = 6 * 3_600.0
"""How late it may become at once where nothing moves: past the end of approvals, and well within the day for which an
Idempotency-Key is kept, since what is ordered again under a forgotten key is rightly done again."""
LULL_SECONDS = 60.0
"""How much time passes at once when it is as late as that."""
UNDER_CLAIM = ("lock_tasks", "admit", "conclude")
"""Steps before which it matters whether a process still has what it had."""
CLAIMED_AGAIN = ("sweep_leases", "claim_tasks", "commit claim_tasks")
"""What others do with the tasks of a process that stands still for longer than its lease."""
STEPS_MAX = 30_000
INTERVALS = {"epochs": 0.9, "integrate": 3.0, "sweep": 2.0, "leases": 3.0, "schedules": 60.0, "partitions": 1e6}
"""Seconds between two steps of the duties here, so that little of a play is noise."""


class _Ticker:
    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def seconds(self) -> float:
        return self._loop.now_seconds


class _Bell:
    def __init__(self) -> None:
        self._listeners: dict[str, list[Callable[[str], None]]] = {}

    def on(self, channel: str, listener: Callable[[str], None]) -> None:
        self._listeners.setdefault(channel, []).append(listener)

    def ring(self, channel: str, payload: str) -> None:
        for listener in self._listeners.get(channel, ()):
            listener(payload)


@dataclass
class Member:
    """A process with its operations, and its worker where it is one."""

    process: Process
    do: Orchestration
    bell: _Bell
    worker: Worker | None = None
    life: asyncio.Task[None] | None = None


@dataclass
class Play:
    """One play of one seed."""

    stage: Stage
    company: Company
    seed: int
    book: Book
    checks: Checks
    chance: random.Random
    members: list[Member] = field(default_factory=list)
    front: Member | None = None
    orders: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    started: dict[str, UUID] = field(default_factory=dict)
    rung: list[tuple[str, str]] = field(default_factory=list)
    stopped: list[Process] = field(default_factory=list)
    sent: set[str] = field(default_factory=set)
    asked_by: dict[str, Member] = field(default_factory=dict)
    calm: bool = False
    _number: int = 0
    _checked_at: int = 0

    async def run(self) -> None:
        """Play to the end and check it."""
        trouble = self.chance.choice(TROUBLE_STEPS)
        self._new_front()
        for _ in range(WORKERS):
            self._new_worker()
        await self.stage.settle()
        while self.stage.steps < trouble:
            await self._trouble()
            await self._move()
        self.calm = True
        self.stage.note("calm")
        assert self.front is not None
        if not self.front.process.alive:
            self._new_front()
        # Asked for now: when all is over nothing may move any more before it is checked.
        facts = asyncio.ensure_future(self.front.do.facts.of(self.company.world.organization_id))
        ends_at = self.stage.loop.now_seconds + CALM_SECONDS_MAX
        while not (facts.done() and await self._is_over()):
            await self._move()
            if self.stage.loop.now_seconds > ends_at or self.stage.steps > STEPS_MAX:
                raise Broken(f"no end after {self.stage.steps} steps: {await self.checks.what_is_left()}")
        await self.checks.at_the_end(facts.result().data_keys, self.front.do.drivers)

    # --- processes -----------------------------------------------------------------------------------------------------

    def _new_member(self, kind: str) -> Member:
        self._number += 1
        name = f"{kind}{self._number}"
        process = Process(self.stage, name)
        database = stepped_database(process)
        ids = SeededIds(random.Random(f"{self.seed}/{name}"), lambda: self.stage.now)
        drivers = Drivers(
            ids=ids,
            ticker=_Ticker(self.stage.loop),
            crypto=StandardCrypto(),
            keys=self.company.world.keys,
            tools={ToolTransport.PYTHON: BookCaller(process, self.book)},
        )
        facts = FactsCache(database, drivers)
        gate = Gate(database, facts, RunFactsCache(database, facts, drivers), drivers)
        member = Member(process, orchestration(database, facts, gate, drivers), _Bell())
        self.stage.note(f"{name} is born")
        return member

    def _new_front(self) -> None:
        self.front = self._new_member("front")
        self.front.life = asyncio.create_task(self._keep_fresh(self.front))

    async def _keep_fresh(self, front: Member) -> None:
        while True:
            with suppress(AosError):
                await front.do.facts.refresh()
            await asyncio.sleep(0.9)

    def _new_worker(self) -> None:
        member = self._new_member("worker")
        member.worker = Worker(
            member.do,
            Runners(hosts=None, inline=InlineRunner()),
            bell=member.bell,
            config=WorkerConfig(tasks_at_once=8, finish_seconds=2.0),
        )
        for loop in member.worker._others:
            duty: Any = loop.duty
            duty.interval_seconds = INTERVALS.get(duty.name, duty.interval_seconds)
        member.life = asyncio.create_task(self._live(member, member.worker))
        self.members.append(member)

    async def _live(self, member: Member, worker: Worker) -> None:
        while True:
            try:
                await worker.start()
                return
            except AosError:
                await asyncio.sleep(0.5)

    async def _stop(self, member: Member, worker: Worker) -> None:
        await worker.stop()
        self.stopped.append(member.process)

    # --- what moves ----------------------------------------------------------------------------------------------------

    async def _move(self) -> None:
        """Make one step, or let time pass until there is one to be made."""
        stage = self.stage
        while self.stopped:
            await stage.kill(self.stopped.pop())
        if stage.steps % BELL_STEPS == 0 or not stage.ready():
            await self._ring()
        if ready := stage.ready():
            await stage.make(self.chance.choice(ready))
        else:
            await self._pass_time()
        if stage.steps >= self._checked_at + CHECK_STEPS:
            self._checked_at = stage.steps
            await self.checks.at_any_moment()
            if self.calm:
                await self._help()

    async def _pass_time(self) -> None:
        due, now = self.stage.loop.next_timer_seconds(), self.stage.loop.now_seconds
        self.stage.note("time passes")
        if due is None:
            due = now + 0.1
        # Where all who are left stand still, the next timer may be one of the dead, days ahead.
        self.stage.loop.now_seconds = min(max(due, now), max(LULL_UNTIL_SECONDS, now + LULL_SECONDS))
        if self.calm:
            self.stage.skew_seconds += 0.5
            await self._help()
        await self.stage.settle()

    async def _ring(self) -> None:
        await self.stage.monitor.execute("select 1")
        rung, self.rung = self.rung, []
        for channel, payload in rung:
            for member in self.members:
                if member.process.alive:
                    for _ in range(self.chance.choice((0, 1, 1, 2))):
                        member.bell.ring(channel, payload)
        await self.stage.settle()

    # --- trouble -------------------------------------------------------------------------------------------------------

    async def _trouble(self) -> None:
        """Draw whether something happens before the next step."""
        stage, chance = self.stage, self.chance
        drawn = chance.random()
        alive = [member for member in self.members if member.process.alive]
        if drawn < 0.006 and alive:
            victim = chance.choice(alive)
            stage.note(f"{victim.process.name} is killed")
            await stage.kill(victim.process)
        elif drawn < 0.016 and (ready := stage.ready()):
            await stage.make(chance.choice(ready), deadly=True)
        elif drawn < 0.020 and alive:
            victim = chance.choice(alive)
            stage.note(f"{victim.process.name} loses its connections")
            await stage.cut(victim.process)
        elif drawn < 0.023 and alive:
            victim = chance.choice(alive)
            assert victim.worker is not None
            stage.note(f"{victim.process.name} is asked to stop")
            self._order(f"stop {victim.process.name}", self._stop, victim, victim.worker, by=victim)
        elif drawn < 0.035:
            stage.skew_seconds += chance.choice([1.0, 8.0, 20.0, 60.0])
            stage.note(f"the clock jumps to {stage.skew_seconds}")
        elif drawn < 0.06 and (ready := [turn for turn in stage.ready() if turn.label in UNDER_CLAIM]):
            turn = chance.choice(ready)
            stage.note(f"{turn.process.name} stands still at {turn.label}")
            stage.skew_seconds += LEASE_SECONDS + 1.0
            turn.process.halt(HALT_SECONDS, [*CLAIMED_AGAIN, *[ANY_STEP] * chance.randint(0, 8)])
        elif drawn < 0.09 and len(alive) < WORKERS:
            self._new_worker()
        elif drawn < 0.145:
            await self._some_order()
        await stage.settle()

    async def _some_order(self) -> None:
        assert self.front is not None
        if not self.front.process.alive:
            self._new_front()
            return
        unordered = [order for order in self.company.orders if order.key not in self.orders]
        if unordered and self.chance.random() < 0.6:
            self._submit(unordered[0])
        elif self.chance.random() < 0.5:
            self._answer_some((await self.checks.wanted()).asked)
            self._signal_some()
        else:
            await self._steer_some()

    async def _steer_some(self) -> None:
        assert self.front is not None
        found = await self.checks.rows(
            "select id, state in ('running', 'paused') as open from run where organization_id = %(organization_id)s"
            " and parent_run_id is null and undoes_id is null order by id"
        )
        if not found:
            return
        run = self.chance.choice(found)
        do, drawn = self.front.do, self.chance.random()
        if not run["open"] or drawn < 0.04:
            if drawn < 0.3:
                key = f"undo {run['id']}"
                self._order(key, do.undos.roll_back, self._person, run["id"], idempotency_key=key)
        elif drawn < 0.08:
            self._order(f"cancel {self.stage.steps}", do.runs.cancel_run, self._person, run["id"])
        elif drawn < 0.15:
            priority = self.chance.randint(-100, 100)
            self._order(f"rank {self.stage.steps}", do.runs.prioritize_run, self._person, run["id"], priority)
        elif drawn < 0.5:
            self._order(f"pause {self.stage.steps}", do.runs.pause_run, self._person, run["id"])
        else:
            self._order(f"resume {self.stage.steps}", do.runs.resume_run, self._person, run["id"])

    def _answer_some(self, asked: list[UUID]) -> None:
        assert self.front is not None
        for approval_id in asked:
            answer = Answer.APPROVE if self.chance.random() < 0.85 else Answer.DENY
            give = self.front.do.approvals.answer_approval
            name = f"answer {approval_id} {self.stage.steps}"
            self._order(name, give, self._approver, approval_id, answer=answer, comment="seen")

    def _signal_some(self) -> None:
        """Send a signal of each run that has started, once or, since nobody knows, again."""
        for order in self.company.orders:
            wanting = [name for name in order.signals if name not in self.sent]
            if order.key in self.started and wanting:
                name = wanting[0] if self.calm else self.chance.choice(wanting)
                self._order(f"signal {name}", self._signal, self.started[order.key], name)

    async def _signal(self, run_id: UUID, name: str) -> None:
        assert self.front is not None
        with suppress(AosError):
            request = SignalRequest(run_id, name, f"told {name}", key=name)
            if isinstance(await self.front.do.signals.send_signal(self._person, request), SignalSent):
                self.sent.add(name)

    # --- help ----------------------------------------------------------------------------------------------------------

    async def _help(self) -> None:
        """Do what somebody would who wants everything to end: nothing more is injected now."""
        assert self.front is not None
        if not self.front.process.alive:
            self._new_front()
        if not any(member.process.alive for member in self.members):
            self._new_worker()
        for order in self.company.orders:
            if order.key not in self.started and not self._is_under_way(order.key):
                self._submit(order)
        wanted = await self.checks.wanted()
        do = self.front.do
        self._answer_some(wanted.asked)
        self._signal_some()
        await self.stage.settle()
        for run_id, task_id in wanted.stuck:  # nothing is killed any more: they may try again
            self._order(f"again {task_id}", do.runs.try_again, self._person, run_id, task_id)
        await self.stage.settle()
        for run_id in wanted.paused:
            self._order(f"resume {run_id}", do.runs.resume_run, self._person, run_id)

    def _is_under_way(self, name: str) -> bool:
        """Say whether an order may still come to something: it has no answer, and who carries it out is alive."""
        task = self.orders.get(name)
        return task is not None and not task.done() and self.asked_by[name].process.alive

    def _submit(self, order: Ordered) -> None:
        front = self.front
        assert front is not None
        self.asked_by[order.key] = front

        async def go() -> None:
            try:
                done = await front.do.runs.start_run(self._person, order.request)
            except AosError:
                return  # asked again later, under the same key
            if not isinstance(done, RunStarted):
                raise Broken(f"{order.key} was not started: {done}")
            if self.started.setdefault(order.key, done.run_id) != done.run_id:
                raise Broken(f"{order.key} was started twice")

        self.stage.note(f"order {order.key}")
        self.orders[order.key] = asyncio.create_task(go())

    def _order(
        self, name: str, call: Callable[..., Awaitable[object]], *args: Any, by: Member | None = None, **more: Any
    ) -> None:
        """Give an order to the front, or to `by`, unless the same is under way; it may be refused, or the database be away."""
        task = self.orders.get(name)
        if task is None or task.done():
            self.stage.note(f"order {name.split()[0]}")
            assert self.front is not None
            self.asked_by[name] = by or self.front
            self.orders[name] = asyncio.create_task(_told(call(*args, **more)))

    async def _is_over(self) -> bool:
        for task in self.orders.values():
            if task.done() and not task.cancelled():
                task.result()
        if len(self.started) < len(self.company.orders) or (self.stage.steps % 10 and self.stage.ready()):
            return False
        if any(self._is_under_way(name) for name in self.orders):
            return False  # an undoing that is about to begin is one more run
        return await self.checks.is_over()

    @property
    def _person(self) -> Principal:
        link = ChainLink(PrincipalKind.PERSON, self.company.world.person_id, "maria@larkspur.example")
        return Principal(self.company.world.organization_id, (link,), roles=("operator",))

    @property
    def _approver(self) -> Actor:
        roles = frozenset({Role.APPROVER})
        return Actor(self.company.world.organization_id, self.company.world.person_id, "maria@larkspur.example", roles)


async def _told(work: Awaitable[object]) -> None:
    """Give an order that may be refused: the run may have ended meanwhile, or the database be away."""
    with suppress(AosError):
        await work
