"""The duty that tasks are: claim what is ready, work on it, claim more when there is room.

Tasks are claimed in batches and worked on at once, each in a coroutine of its own; what they write is gathered in group
commits. A claim whose lease was lost is cut off: its pass is cancelled, and nothing of it can be written.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from aos.kernel.errors import AosError, StaleClaim, Unavailable
from aos.kernel.limits import CLAIMS_MAX
from aos.operations.claimed import ClaimedTask
from aos.operations.group_commit import TURN
from aos.operations.orchestration import Orchestration
from aos.operations.tasks import MORE, Taken
from aos.workers.engine import Engine
from aos.workers.task_passes import UNAVAILABLE_SECONDS, TaskPasses

_log = logging.getLogger(__name__)

GIVE_BACK_PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""How long a worker waits between tries to give a claim back while the database is away."""
CLAIM_MAX = 64
"""Tasks claimed by one statement: what a worker takes at once, another cannot work on meanwhile."""
HAND_ON_MAX = 32
"""Tasks handed on to the worker that completed what they waited for: the others are called to what is left."""

BESIDE_MAX = 32
"""Places beside all others, for organizations that call while a worker's places are taken: nobody waits for room until
another's long queue leaves some."""
BESIDE_SHARE = 8
"""Of a worker's places one organization may hold this part and still be given places beside them."""
SHARED_MAX = 12
"""Tasks that a worker starts and ends at a time while organizations call that hold few of its places, most being another's."""
SHARED_SECONDS = 1.0
"""How long after such a call."""
CALLERS_MAX = 1_000
"""Organizations remembered that have called and were not yet looked at."""
GATHER_SECONDS = 0.004
"""How long a worker that has work waits for more to become ready: one claim of many costs what one of few does."""
POLITE_SECONDS = 0.004
POLITE_SECONDS_MAX = 0.05
"""How long a worker waits, after one claim that found nothing and after many, before it answers the bell: of all that hear
it, those go first who found something last. Who leaves something calls the others at once."""


@dataclass(slots=True)
class Held:
    """A claim that is being worked on."""

    task: ClaimedTask
    work: asyncio.Task[None]


class TaskDuty:
    """Claims and works."""

    name = "tasks"

    def __init__(
        self,
        orchestration: Orchestration,
        passes: TaskPasses,
        *,
        engine: Engine,
        tasks_at_once: int,
        interval_seconds: float = 0.5,
    ) -> None:
        self.interval_seconds = interval_seconds
        self._do = orchestration
        self._engine = engine
        self._passes = passes
        self._at_once = tasks_at_once
        self._held: dict[UUID, Held] = {}
        self._claiming = True
        self._short = False
        self._claimed_at = 0.0
        self._polite_seconds = 0.0
        self._coming: asyncio.TimerHandle | None = None
        self._rung = False
        self._holding: Counter[UUID] = Counter()
        """How many tasks of each organization are held."""
        self._shared_until = 0.0
        self._callers: dict[UUID, None] = {}
        """Organizations that hold few places and have called since the last claim of all, the first first."""
        self._wake: Callable[[], None] = _nobody
        orchestration.tasks.on_handed(self._room_handed, self._take_handed)

    def on_work(self, wake: Callable[[], None]) -> None:
        """Call `wake` when the bell has rung, and when there is room again for tasks that were left ready."""
        self._wake = wake

    def ring(self, payload: str) -> None:
        """Hear that tasks are ready, of the organization named or of any: come at once, or a little later where others came
        first of late and leave nothing.
        """
        self._rung = True
        if payload not in ("", MORE) and len(self._callers) < CALLERS_MAX and self._holds_few(caller := UUID(payload)):
            self._callers[caller] = None
            if self._is_anothers(caller):
                self._shared_until = self._do.drivers.ticker.seconds() + SHARED_SECONDS
        if not self._polite_seconds or payload == MORE:
            self._wake()
        elif self._coming is None:
            self._coming = asyncio.get_running_loop().call_later(self._polite_seconds, self._come)

    def _come(self) -> None:
        self._coming = None
        self._wake()

    @property
    def held(self) -> list[ClaimedTask]:
        """Return the tasks that are being worked on."""
        return [held.task for held in self._held.values()]

    async def work_once(self, now: datetime | None) -> int:
        """Claim as many ready tasks as there is room for and begin to work on them; return how many.

        Returns 0 as well where a claim took all that there was.
        """
        room = self._room()
        if not self._claiming or room < self._room_wanted():
            self._short = True
            return await self._claim_beside() if self._claiming else 0
        if self._held and not (self._callers and len(self._held) >= self._at_once // 2):
            await asyncio.sleep(GATHER_SECONDS)
        self._callers.clear()
        self._claimed_at = self._do.drivers.ticker.seconds()
        taken = await self._engine.claim(room)
        self._short = len(taken) == room
        if taken:
            self._polite_seconds = 0.0
        elif self._rung:
            self._polite_seconds = min(POLITE_SECONDS + 2 * self._polite_seconds, POLITE_SECONDS_MAX)
        self._rung = False
        for n, each in enumerate(taken, start=1):
            self._begin(each)
            if n % TURN == 0:
                await asyncio.sleep(0)
        # Of one lane a claim takes all that there is; of several it takes each one's share, and more may be left.
        one_lane = len({(each.task.organization_id, each.task.lane) for each in taken}) == 1
        return 0 if one_lane and not self._short else len(taken)

    async def _claim_beside(self) -> int:
        """Claim for an organization that has called and holds few of the places taken; return 0 when no other has called."""
        room = min(self._at_once + BESIDE_MAX - len(self._held), BESIDE_MAX)
        if not self._callers or room <= 0:
            return 0
        caller = next(iter(self._callers))
        del self._callers[caller]
        for each in await self._engine.claim(room, of=caller):
            self._begin(each)
        return len(self._callers)

    def _is_anothers(self, caller: UUID) -> bool:
        """Say whether much of what is held is one organization's, and not the caller's: many that hold some each share anyway."""
        largest = max(self._holding, key=self._holding.__getitem__, default=caller)
        return largest != caller and self._holding[largest] >= max(SHARED_MAX // 2, len(self._held) // 2)

    def _holds_few(self, organization_id: UUID) -> bool:
        return self._holding[organization_id] <= self._at_once // BESIDE_SHARE

    def cut_off(self, lost: Collection[UUID]) -> None:
        """End the passes of claims that are gone."""
        for token in lost:
            held = self._held.get(token)
            if held is not None:
                held.work.cancel("the claim is gone")

    def hold(self, tokens: Collection[UUID]) -> None:
        """End the passes of these claims at their next call: their runs are paused."""
        self._do.calls.held.update(token for token in tokens if token in self._held)

    def hold_run(self, run_id: str) -> None:
        """End the passes of a run at their next call."""
        self.hold([token for token, held in self._held.items() if str(held.task.run_id) == run_id])

    async def finish(self, timeout_seconds: float) -> None:
        """Claim nothing more, wait for what runs, then give back what still does."""
        self._claiming = False
        running = [held.work for held in self._held.values()]
        if running:
            await asyncio.wait(running, timeout=timeout_seconds)
        left = list(self._held.values())
        for held in left:
            held.work.cancel("the worker stops")
        await asyncio.gather(*(held.work for held in left), return_exceptions=True)
        await asyncio.gather(*(self._engine.cancel(held.task) for held in left), return_exceptions=True)

    @property
    def _is_shared(self) -> bool:
        return self._do.drivers.ticker.seconds() < self._shared_until

    def _room(self) -> int:
        """Return for how many more tasks there is room. While others call, few are started and ended at a time: those whose
        agents run take up places and nothing else, but what is written for many keeps processor and database from the rest.
        """
        free = self._at_once - len(self._held)
        if self._is_shared:
            free = min(free, SHARED_MAX - (len(self._held) - self._passes.running))
        return min(free, CLAIM_MAX)

    def _room_wanted(self) -> int:
        """Return how much room is worth a claim: a few tasks at a time cost as much as many, but none waits long for room."""
        if self._do.drivers.ticker.seconds() - self._claimed_at >= self.interval_seconds:
            return 1
        if self._is_shared:
            return max(1, min(SHARED_MAX, self._at_once) // 4)
        return 1 if len(self._held) < self._at_once // 2 else max(1, self._at_once // 4)

    def _room_handed(self, ending: int) -> int:
        """Return how many tasks may be handed on to this worker when `ending` of those it holds end.

        None where half its places are taken: what others have ready is to find room, whoever goes on with his own.
        """
        if not self._claiming:
            return 0
        return max(0, min(self._at_once // 2 - len(self._held) + ending, HAND_ON_MAX))

    async def _take_handed(self, handed: Sequence[Taken]) -> None:
        """Begin with tasks that were handed on, or give them back where the worker has stopped meanwhile."""
        if not self._claiming:
            await asyncio.gather(*(self._engine.cancel(each.task) for each in handed), return_exceptions=True)
            return
        for each in handed:
            self._begin(each)

    def _begin(self, taken: Taken) -> None:
        work = asyncio.create_task(self._work_on(taken), name=f"task-{taken.task.id}")
        self._held[taken.task.token] = Held(taken.task, work)
        self._holding[taken.task.organization_id] += 1
        work.add_done_callback(lambda _: self._done(taken.task.token))

    def _done(self, token: UUID) -> None:
        held = self._held.pop(token, None)
        if held is not None:
            organization_id = held.task.organization_id
            self._holding[organization_id] -= 1
            if not self._holding[organization_id]:
                del self._holding[organization_id]
        self._do.calls.held.discard(token)
        if self._short and self._claiming and self._room() >= self._room_wanted():
            self._wake()

    async def _work_on(self, taken: Taken) -> None:
        task = taken.task
        try:
            await self._passes.work_on(taken)
        except StaleClaim:
            _log.info("task %s: its claim is gone", task.label)
        except AosError as error:
            _log.warning("task %s is given back: %s", task.label, error.detail)
            await self._give_back(task, counted=False)
        except Exception:  # one task's trouble is its own
            _log.exception("task %s is given back", task.label)
            await self._give_back_or_park(task)

    async def _give_back_or_park(self, task: ClaimedTask) -> None:
        """Give back a claim whose pass broke the worker's own code, or park the task where that is so again and again."""
        if task.claims + 1 >= CLAIMS_MAX:
            try:
                await self._passes.park_as_stuck(task)
                return
            except Exception:  # its lease runs out, and the sweep tries the same
                _log.exception("task %s cannot be parked", task.label)
        await self._give_back(task, counted=True)

    async def _give_back(self, task: ClaimedTask, *, counted: bool) -> None:
        """Give a claim back, again while the database is away; past that its lease runs out."""
        give_back = self._engine.fail if counted else self._engine.cancel
        for pause_seconds in GIVE_BACK_PAUSES_SECONDS:
            try:
                await give_back(task, delay_seconds=UNAVAILABLE_SECONDS)
                return
            except Unavailable:
                await asyncio.sleep(pause_seconds)
            except AosError as error:
                _log.warning("task %s is left to its lease: %s", task.label, error.detail)
                return
        _log.warning("task %s is left to its lease: the database stays away", task.label)


def _nobody() -> None:
    """Nobody is woken."""
