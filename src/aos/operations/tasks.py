"""What a worker does with tasks in the store: claim, start, end, park, give back, hold on to.

Every write names the claim it is made under and does nothing where that is gone. What arrives together is written
together: one transaction locks the tasks in their order and then writes them all in one statement.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from uuid import UUID

from aos.kernel.errors import AosError
from aos.kernel.limits import CLAIMS_MAX, LEASE_SECONDS
from aos.operations.claimed import ClaimedTask, claimed_task
from aos.operations.contents import Sealed
from aos.operations.ends import Completion
from aos.operations.group_commit import GroupCommit
from aos.operations.passes import Wait, WaitKind, Waits
from aos.operations.records import place
from aos.operations.run_ends import RunEnds
from aos.store.hot.database import Database, MachineTransaction, Row
from aos.store.rows import ContentRow, RecordRow, UsageRow, contents_bytes, rows_json
from aos.store.task_rows import (
    ClaimRow,
    CompleteRow,
    ContinueRow,
    NameRow,
    ParkRow,
    ReleaseRow,
    StartRow,
    TaskInputRow,
    TaskKey,
    WaitRow,
)

_log = logging.getLogger(__name__)

SMALL_MAX: Final = 8
"""Starts or ends of tasks that are written beside a larger write."""
LANES_MAX: Final = 64
"""Lanes that one claim serves; where more have something ready, the next claim goes on with those that come after."""
Turn: TypeAlias = tuple[UUID, UUID]
"""The organization and the lane that were served last."""
FIRST_TURN: Final[Turn] = (UUID(int=0), UUID(int=0))
_LAST: Final = UUID(int=2**128 - 1)


@dataclass(slots=True)
class Taken:
    """A task that was claimed, with the sealed content that it needs and the calls that it has made before."""

    task: ClaimedTask
    contents: list[Row] = field(default_factory=list)
    calls: list[Row] = field(default_factory=list)


Take: TypeAlias = Callable[[Sequence[Taken]], Awaitable[None]]
"""Begins with claimed tasks, or gives them back."""


@dataclass(slots=True)
class Start:
    """A task that starts, on its way into the store."""

    row: StartRow
    records: list[RecordRow] = field(default_factory=list)
    contents: list[ContentRow] = field(default_factory=list)


@dataclass(slots=True)
class Parking:
    """A task that is parked, with what it waits for."""

    row: ParkRow
    run_id: UUID
    waits: Sequence[Wait] = ()


@dataclass(slots=True)
class GoingOn:
    """A task that goes on with a fresh history, with its new input."""

    row: ContinueRow
    contents: list[ContentRow] = field(default_factory=list)


MORE = "more"
"""What a bell says that is rung by a claim: it may have left something."""


class Tasks:
    """The tasks of one worker."""

    def __init__(self, database: Database, ends: RunEnds, *, worker_id: UUID) -> None:
        self._database = database
        self._ends = ends
        self._worker_id = worker_id
        self._turn = FIRST_TURN
        self._room: Callable[[int], int] = _no_room
        self._take: Take | None = None
        self._taking: set[asyncio.Task[None]] = set()
        self._large = asyncio.Lock()
        self._starts = GroupCommit(
            self._write_starts,
            name="start",
            weigh=lambda member: contents_bytes(member.contents),
            whose=lambda member: member.row.organization_id,
        )
        self._completions = GroupCommit(
            self._write_completions,
            name="complete",
            weigh=lambda member: contents_bytes(member.contents),
            whose=lambda member: member.row.organization_id,
        )
        self._parkings = GroupCommit(self._write_parkings, name="park")
        self._releases = GroupCommit(self._write_releases, name="release")
        self._continuations = GroupCommit(self._write_continuations, name="continue")

    def on_handed(self, room: Callable[[int], int], take: Take) -> None:
        """Have tasks that become ready by what this worker completes handed on to it, already claimed.

        `room(ending)` says how many it would take when so many of those it holds end; `take` gets them.
        """
        self._room, self._take = room, take

    async def claim(self, tasks_max: int, *, of: UUID | None = None) -> list[Taken]:
        """Claim up to `tasks_max` ready tasks, with their inputs and what their calls came to; `of` one organization alone.

        Where those cannot be read the claims are given back. Raises Unavailable.
        """
        params = claim_params(self._worker_id, tasks_max, self._turn, of=of)
        rows = await self._database.write_in_order(("lock_limits", {}), ("claim_tasks", params))
        taken = await self.loaded(rows)
        if of is None:
            self._turn = _next_turn([each.task for each in taken])
        return taken

    async def claim_named(self, named: Sequence[tuple[UUID, UUID]]) -> list[Taken]:
        """Claim those of the tasks named (organization, task) that are ready and within their limits, as `claim` does."""
        keys = [TaskKey(organization_id=organization_id, id=task_id) for organization_id, task_id in named]
        tasks = {"tasks": rows_json(keys)}
        params = {**tasks, "worker_id": self._worker_id, "lease_seconds": LEASE_SECONDS}
        claims = await self._database.write_in_order(("lock_named_limits", tasks), ("claim_named_tasks", params))
        if not claims:
            return []
        # A claim that cannot be read is left to its lease.
        return await self.loaded(await self._database.read("load_claimed", {"claims": rows_json(_claims(claims))}))

    async def loaded(self, rows: Sequence[Row]) -> list[Taken]:
        """Return claimed tasks with what they need; give the claims back where that cannot be read."""
        taken = [Taken(claimed_task(row)) for row in rows]
        try:
            await self._load(taken)
        except AosError:
            await asyncio.gather(
                *(self.release(each.task, counted=False) for each in taken), return_exceptions=True
            )  # whose release fails as well has a lease, which runs out
            raise
        return taken

    async def _load(self, taken: Sequence[Taken]) -> None:
        """Load what claimed tasks need before they run; nothing where none needs any."""
        wanted, with_calls = _inputs_wanted(taken), [each for each in taken if each.task.has_calls]
        if not wanted and not with_calls:
            return
        async with self._database.machine() as transaction:
            if wanted:
                for found in await transaction.run("load_task_inputs", {"tasks": rows_json(wanted)}):
                    taken[found["n"]].contents.append(found)
            await load_calls(transaction, with_calls)

    async def start(self, member: Start) -> bool:
        """Write that a task has started; False where its claim, facts or approval no longer stand."""
        return await self._starts.submit(member)

    async def complete(self, member: Completion) -> bool:
        """Write the end of an attempt; False where the claim is gone. The run's own end follows by itself."""
        return await self._completions.submit(member)

    async def park(self, task: ClaimedTask, waits: Waits, *, pass_ms: int = 0) -> bool:
        """Park a task until enough of what it waits for has ended or its time has come; ready at once where that is so.

        False as above.
        """
        row = ParkRow(
            n=0,
            organization_id=task.organization_id,
            task_id=task.id,
            claim_token=task.token,
            waits_for=waits.waits_for,
            runtime_ms=pass_ms,
            wake_at=waits.wake_at,
            needs=waits.needs,
        )
        return await self._parkings.submit(Parking(row, task.run_id, waits.waits))

    async def go_on(self, task: ClaimedTask, value: Sealed, *, pass_ms: int = 0) -> bool:
        """Let a task go on in its next generation, with `value` as its input and no history. False as above."""
        row = ContinueRow(
            n=0,
            organization_id=task.organization_id,
            task_id=task.id,
            claim_token=task.token,
            input_content_id=value.row.id,
            runtime_ms=pass_ms,
        )
        return await self._continuations.submit(GoingOn(row, [value.row]))

    async def release(self, task: ClaimedTask, *, counted: bool, delay_seconds: float = 0.0, pass_ms: int = 0) -> bool:
        """Give a claim back: the next pass is the same attempt. False where the claim is gone."""
        row = ReleaseRow(
            n=0,
            organization_id=task.organization_id,
            task_id=task.id,
            claim_token=task.token,
            counted=counted,
            delay_seconds=delay_seconds,
            runtime_ms=pass_ms,
        )
        return await self._releases.submit(row)

    async def renew(self, held: Sequence[ClaimedTask]) -> dict[UUID, bool]:
        """Renew the leases of the claims held; return the tokens that still stand, each with whether its run is paused."""
        claims = [
            ClaimRow(organization_id=task.organization_id, task_id=task.id, claim_token=task.token) for task in held
        ]
        params = {"claims": rows_json(claims), "lease_seconds": LEASE_SECONDS}

        async def work(transaction: MachineTransaction) -> dict[UUID, bool]:
            return {row["claim_token"]: row["paused"] for row in await transaction.run("renew_leases", params)}

        return await self._database.write(work)

    async def sweep(self, tasks_max: int) -> tuple[int, list[ClaimedTask]]:
        """Take back tasks whose leases ran out; return how many, and those claimed too often, now ours to park."""
        params = {"tasks_max": tasks_max, "claims_max": CLAIMS_MAX, "lease_seconds": LEASE_SECONDS}

        async def work(transaction: MachineTransaction) -> list[Row]:
            return await transaction.run("sweep_leases", params)

        rows = await self._database.write(work)
        return len(rows), [claimed_task(row) for row in rows if row["state"] == "running"]

    async def wake(self, tasks_max: int) -> tuple[int, float | None]:
        """Make waiting tasks ready whose time has come; return how many, and in how many seconds the next is due."""

        async def work(transaction: MachineTransaction) -> list[Row]:
            return await transaction.run("wake_tasks", {"tasks_max": tasks_max})

        (row,) = await self._database.write(work)
        return row["woken"], row["next_seconds"]

    async def drain(self) -> None:
        """Return when nothing that was submitted is unwritten."""
        while self._taking:
            await asyncio.wait(tuple(self._taking))
        for commit in (self._starts, self._completions, self._parkings, self._releases, self._continuations):
            await commit.drain()
        await self._ends.drain()

    # --- flushes -----------------------------------------------------------------------------------------------------

    async def _write_starts(self, batch: Sequence[Start]) -> list[bool]:
        for n, member in enumerate(batch):
            member.row.n = n
            _number(n, (*member.records, *member.contents))
        params = {
            "members": rows_json([member.row for member in batch]),
            "records": rows_json(place([row for member in batch for row in member.records])),
            "contents": rows_json([row for member in batch for row in member.contents]),
        }
        async with self._turn_of(len(batch)):
            return await self._write("start_tasks", params, rows=[member.row for member in batch])

    async def _write_completions(self, batch: Sequence[Completion]) -> list[bool]:
        for n, member in enumerate(batch):
            member.row.n = n
            _number(n, (*member.records, *member.contents, *member.usage))
        params = {
            "members": rows_json([member.row for member in batch]),
            "records": rows_json(place([row for member in batch for row in member.records])),
            "contents": rows_json([row for member in batch for row in member.contents]),
            "usage": rows_json([row for member in batch for row in member.usage]),
            "hand_on_max": self._room(len(batch)),
            "worker_id": self._worker_id,
            "lease_seconds": LEASE_SECONDS,
        }
        keys = _keys([member.row for member in batch])
        async with self._turn_of(len(batch)):
            rows, handed, ending = await self._database.write_and_load(
                [("lock_tasks", {"tasks": keys}), ("complete_tasks", params)],
                [("load_claimed", {"claims": None}), ("load_ending_runs", {"forgotten": False})],
            )
        self._ends.end_soon(ending, {id: digest for member in batch for id, digest in member.digests.items()})
        if handed:
            taking = asyncio.create_task(self._take_over(handed), name="handed-on")
            self._taking.add(taking)
            taking.add_done_callback(self._taking.discard)
        written = {row["n"] for row in rows}
        return [n in written for n in range(len(batch))]

    def _turn_of(self, members: int) -> AbstractAsyncContextManager[None]:
        """Return what a write of so many holds while it is made: of large ones there is one at a time, small ones go beside.

        More at once write no more a second where processors are few, and each of the small ones takes longer.
        """
        return self._large if members > SMALL_MAX else nullcontext()

    async def _take_over(self, handed: Sequence[Row]) -> None:
        """Begin with tasks that were handed on; those whose content cannot be read are given back."""
        try:
            taken = await self.loaded(handed)
        except AosError as error:
            _log.warning("%s tasks that were handed on could not be begun: %s", len(handed), error.detail)
            return
        assert self._take is not None
        await self._take(taken)

    async def _write_parkings(self, batch: Sequence[Parking]) -> list[bool]:
        waits: list[WaitRow] = []
        locked: list[TaskKey] = []
        names: list[NameRow] = []
        for n, member in enumerate(batch):
            member.row.n = n
            waits += [
                WaitRow(n=n, source_id=source, kind=wait.kind.value, name=wait.name)
                for wait in member.waits
                for source in wait.sources
            ]
            children = [each for wait in member.waits if wait.kind is WaitKind.CHILD for each in wait.sources]
            locked += [
                TaskKey(organization_id=member.row.organization_id, id=each) for each in (member.row.task_id, *children)
            ]
            names += [
                NameRow(run_id=member.run_id, name=wait.name)
                for wait in member.waits
                if wait.kind is WaitKind.SIGNAL and wait.name is not None
            ]
        params = {"members": rows_json([member.row for member in batch]), "waits": rows_json(waits)}

        locks = [("lock_signals", {"signals": rows_json(names)})] if names else []
        rows = await self._database.write_in_order(
            *locks, ("lock_tasks", {"tasks": rows_json(locked)}), ("park_tasks", params)
        )
        written = {row["n"] for row in rows}
        return [n in written for n in range(len(batch))]

    async def _write_releases(self, batch: Sequence[ReleaseRow]) -> list[bool]:
        for n, row in enumerate(batch):
            row.n = n
        return await self._write("release_tasks", {"members": rows_json(batch)}, rows=batch)

    async def _write_continuations(self, batch: Sequence[GoingOn]) -> list[bool]:
        for n, member in enumerate(batch):
            member.row.n = n
            _number(n, member.contents)
        params = {
            "members": rows_json([member.row for member in batch]),
            "contents": rows_json([row for member in batch for row in member.contents]),
        }
        return await self._write("continue_tasks", params, rows=[member.row for member in batch])

    async def _write(
        self, statement: str, params: Mapping[str, object], *, rows: Sequence[StartRow | ReleaseRow | ContinueRow]
    ) -> list[bool]:
        done = await self._database.write_in_order(("lock_tasks", {"tasks": _keys(rows)}), (statement, params))
        written = {row["n"] for row in done}
        return [n in written for n in range(len(rows))]


def claim_params(worker_id: UUID, tasks_max: int, turn: Turn, *, of: UUID | None = None) -> dict[str, object]:
    """Return the parameters of `claim_tasks`, which follows `lock_limits` in one transaction."""
    if of is not None:
        turn = UUID(int=of.int - 1), _LAST
    return {
        "tasks_max": tasks_max,
        "lanes_max": LANES_MAX,
        "worker_id": worker_id,
        "lease_seconds": LEASE_SECONDS,
        "after_organization_id": turn[0],
        "after_lane": turn[1],
        "until_organization_id": of or _LAST,
    }


def _next_turn(taken: Sequence[ClaimedTask]) -> Turn:
    """Return after which lane the next claim begins: where this one ended, or the first where it saw them all."""
    lanes = {(task.organization_id, task.lane) for task in taken}
    return max(lanes) if len(lanes) >= LANES_MAX // 2 else FIRST_TURN


async def load_calls(transaction: MachineTransaction, taken: Sequence[Taken]) -> None:
    """Load what the calls of tasks came to before; nothing where there are none."""
    if not taken:
        return
    by_id = {each.task.id: each for each in taken}
    for each in taken:
        each.calls = []
    keys = rows_json([TaskKey(organization_id=each.task.organization_id, id=each.task.id) for each in taken])
    for row in await transaction.run("load_task_history", {"tasks": keys}):
        by_id[row["task_id"]].calls.append(row)


def _inputs_wanted(taken: Sequence[Taken]) -> list[TaskInputRow]:
    """Return what has to be read before tasks run: inputs, goals, and outputs that templates name."""
    wanted = []
    for n, each in enumerate(taken):
        task = each.task
        reads_input = task.work.reads_input and task.input_content_id is None
        row = TaskInputRow(
            n=n,
            organization_id=task.organization_id,
            id=task.id,
            reads=list(task.work.reads) if task.input_content_id is None else [],
            input_content_id=task.input_content_id,
            run_input_content_id=task.run.input_content_id if reads_input else None,
            goal_content_id=task.run.goal_content_id,
        )
        if row.reads or row.input_content_id or row.run_input_content_id or row.goal_content_id:
            wanted.append(row)
    return wanted


def _number(n: int, rows: Sequence[ContentRow | RecordRow | UsageRow]) -> None:
    """Say to which member of a batch rows belong."""
    for row in rows:
        row.n = n


def _claims(rows: Sequence[Row]) -> list[ClaimRow]:
    return [
        ClaimRow(organization_id=row["organization_id"], task_id=row["task_id"], claim_token=row["claim_token"])
        for row in rows
    ]


def _no_room(ending: int) -> int:
    """Nothing is handed on to whoever does not ask for it."""
    return 0


def _keys(rows: Sequence[StartRow | CompleteRow | ReleaseRow | ContinueRow]) -> str:
    return rows_json([TaskKey(organization_id=row.organization_id, id=row.task_id) for row in rows])
