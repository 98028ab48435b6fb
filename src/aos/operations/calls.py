"""The calls of an agent's pass, each translated into what AOS does: the one place where the Work protocol meets the gate.

A call belongs to its task and is known by its key. A call that must wait is answered `waiting` and noted, so that the task
is parked until what it waits for has ended; an error of AOS is answered as a call that was not performed. A lost claim
is raised, for nothing of the pass can be written any more; so is trouble that is no matter of the agent's, such as a
database that is away: the pass ends without a word to the agent and is run again.
"""

from __future__ import annotations

import asyncio
import hashlib
from http import HTTPStatus
from typing import Final
from uuid import UUID

import msgspec

from aos.kernel.acts import Act, ActionState, ActKind, CallKey, Pending, Recorded, Refused
from aos.kernel.dialects.read import read_ask
from aos.kernel.dialects.values import Dialect
from aos.kernel.errors import (
    AosError,
    InvalidRequest,
    NotFound,
    RateLimited,
    RefusedAgain,
    StaleClaim,
    StillRunning,
    TooLarge,
    Unavailable,
)
from aos.kernel.json import Json
from aos.kernel.limits import NAME_LENGTH_MAX, TASKS_PER_SPAWN_MAX
from aos.kernel.workflow.states import FINAL, TaskState
from aos.operations.agent_spans import AgentSpans
from aos.operations.asks import Asks
from aos.operations.authenticate import claim_stands
from aos.operations.checkpoints import Checkpoints
from aos.operations.contents import open_json
from aos.operations.drivers import Drivers
from aos.operations.ends import seal
from aos.operations.facts import FactsCache, OrganizationFacts
from aos.operations.gate import Gate
from aos.operations.inputs import as_uuid, told_error
from aos.operations.kept_calls import KeptCall, KeptCalls
from aos.operations.kpis import Kpis
from aos.operations.model_acts import ModelCall
from aos.operations.model_answers import recorded_value
from aos.operations.model_calls import ModelCalls, Streamed, Whole
from aos.operations.own_acts import Allowed, OwnActs
from aos.operations.passes import PassState, Wait, WaitKind, signal_source
from aos.operations.reaches import reach_of
from aos.operations.reports import call_row, report_call
from aos.operations.signals import TIMED_OUT, SignalAwaited, SignalMissed, Signals, SignalTaken
from aos.operations.spawns import Spawns
from aos.operations.task_budgets import read_task_budget
from aos.operations.timers import limit_of, timer_seconds
from aos.store.hot.database import Database, Row
from aos.store.task_rows import TakeRow, TimerRow
from aos_sdk.frames import Call, Result

_FINAL = frozenset(state.value for state in FINAL)

TURN_WAIT_SECONDS: Final = 5.0
"""How long a call waits here for its turn at a tool with a limit; its task holds a worker's room for so long."""
TURN_PAUSE_SECONDS: Final = 0.02
TURN_PAUSE_SECONDS_MAX: Final = 0.5


class Calls:
    """Answers the calls of passes."""

    def __init__(
        self,
        database: Database,
        facts: FactsCache,
        gate: Gate,
        acts: OwnActs,
        *,
        signals: Signals,
        drivers: Drivers,
        models: ModelCalls | None = None,
    ) -> None:
        self._database = database
        self._facts = facts
        self._gate = gate
        self._drivers = drivers
        self._models = models
        self.turn_wait_seconds = TURN_WAIT_SECONDS
        self._signals = signals
        self._kept = KeptCalls(database)
        self._kpis = Kpis(database, drivers)
        self.held: set[UUID] = set()
        """Claims whose passes end at their next call, since their runs are paused."""
        self._spawns = Spawns(database, facts, acts, drivers)
        self._asks = Asks(database, facts, gate, drivers)
        self._checkpoints = Checkpoints(database, facts, drivers)
        self._spans = AgentSpans(database, drivers)

    async def answer(self, state: PassState, call: Call) -> Result:
        """Answer one call of a pass, once it is recorded or must wait.

        Raises StaleClaim, and what ends a pass without a word to its agent, so that it is run again: Unavailable where the
        database is away, StillRunning where the call stands under way from before, RateLimited where its tool had no room
        for it in all the time that it waited.
        """
        if state.task.token in self.held and call.kind != "step":
            state.is_held = True
            return Result(call.task_id, call.call_id, "waiting")  # a step has been done: it is kept first
        try:
            if call.kind == "checkpoint" or call.kind == "spans":
                return await self._unrecorded(state, call)
            state.count_call()
            match call.kind:
                case "tool" | "ask":
                    return await self._tool(state, call)
                case "spawn":
                    return await self._spawn(state, call)
                case "children":
                    return await self._children(state, call)
                case "report":
                    facts = await self._facts.of(state.task.organization_id)
                    now = self._facts.now()
                    member = report_call(state, call, facts, now=now, drivers=self._drivers)
                    return await self._keep(state, call, member, value=None)
                case "step":
                    return await self._step(state, call)
                case "timer":
                    return await self._timer(state, call)
                case "signal":
                    return await self._signal(state, call)
                case "kpis" | "reach":
                    return await self._reading(state, call)
                case "complete":
                    return await self._complete(state, call)
        except (RateLimited, RefusedAgain, StaleClaim, StillRunning, Unavailable):
            raise
        except AosError as error:
            return self._not_performed(state, call, "failed", error.slug, detail=error.detail, reasons=error.reasons)

    async def drain(self) -> None:
        """Return when nothing that was answered is unwritten."""
        await self._kept.drain()
        await self._spawns.drain()

    async def _tool(self, state: PassState, call: Call) -> Result:
        if call.kind == "ask":
            question = self._act(state, call, ActKind.ASK, call.arguments)
            return self._result(state, call, await self._asks.ask(question))
        act = self._act(state, call, ActKind.TOOL, call.arguments)
        return self._result(state, call, await self._in_turn(act))

    async def _reading(self, state: PassState, call: Call) -> Result:
        if call.kind == "kpis":
            return await self._kpi_values(state, call)
        facts = await self._facts.of(state.task.organization_id)
        found = reach_of(state.principal, state.agent, facts, model=call.name)
        return await self._keep_reading(state, call, found, facts)

    async def _unrecorded(self, state: PassState, call: Call) -> Result:
        """Answer a call that no history holds."""
        value = None
        if call.kind == "checkpoint":
            value = await self._checkpoints.answer(state, call)
        else:
            await self._spans.keep(state, call)
        return Result(call.task_id, call.call_id, "performed", value=value, seq=state.next_seq())

    async def _complete(self, state: PassState, call: Call) -> Result:
        if self._models is None:
            raise Unavailable("this process asks no models")
        body = msgspec.json.encode({"model": call.name, **call.arguments})
        asked = read_ask(_dialect(call), body)
        key, clock = CallKey(call.key, call.tries), state.task.run.clock(self._facts.now())
        digest = hashlib.sha256(body).hexdigest()
        done = await self._models.make(ModelCall(state.principal, asked, body, digest, call=key, clock=clock))
        if isinstance(done, Whole):
            if done.said.status >= HTTPStatus.BAD_REQUEST:
                return self._not_performed(state, call, "failed", "upstream-failed", detail=done.reason)
            value = recorded_value(done.said)
            return Result(call.task_id, call.call_id, "performed", value=value, seq=state.next_seq())
        assert not isinstance(done, Streamed)
        return self._result(state, call, done)

    async def _in_turn(self, act: Act) -> Recorded | Pending | Refused:
        """Perform an act, waiting for its turn where as many of its tool are under way as may be.

        Raises RateLimited where none came in `turn_wait_seconds`: the pass ends, and its task is given back and comes again.
        """
        ticker = self._drivers.ticker
        began, pause = ticker.seconds(), TURN_PAUSE_SECONDS
        while True:
            try:
                return await self._gate.perform(act)
            except RateLimited:
                if ticker.seconds() - began + pause > self.turn_wait_seconds:
                    raise
            spread = 0.5 + self._drivers.ids.random_bytes(1)[0] / 255
            await asyncio.sleep(pause * spread)
            pause = min(2 * pause, TURN_PAUSE_SECONDS_MAX)

    async def _spawn(self, state: PassState, call: Call) -> Result:
        facts = await self._facts.of(state.task.organization_id)
        child = facts.agents_by_name.get(call.name)
        if child is None:
            raise NotFound(f"there is no agent `{call.name[:60]}`")
        budget = read_task_budget(call.arguments.get("budget"))
        label = call.arguments.get("name") or child.name
        if not isinstance(label, str) or len(label) > NAME_LENGTH_MAX:
            raise InvalidRequest(f"the name of a spawned task is a text of at most {NAME_LENGTH_MAX} characters")
        after = _task_ids(call, "after") if "after" in call.arguments else []
        if after:
            await self._children_of(state, after)
        given = {"input": call.arguments.get("input"), **({"budget": str(budget)} if budget is not None else {})}
        act = self._act(state, call, ActKind.DELEGATE, given)
        ruling = await self._spawns.spawn(state, act, child, label=label, after=after, budget=budget)
        assert not isinstance(ruling, Allowed)
        return self._result(state, call, ruling)

    async def _children(self, state: PassState, call: Call) -> Result:
        asked = _task_ids(call, "task_ids")
        found = await self._children_of(state, asked)
        still_open = tuple(dict.fromkeys(child for child in asked if found[child]["state"] not in _FINAL))
        missing = _joined(call, len(set(asked))) - (len(set(asked)) - len(still_open))
        if missing > 0:
            state.waits.append(Wait(WaitKind.CHILD, still_open, None if missing == len(still_open) else missing))
            return Result(call.task_id, call.call_id, "waiting")
        facts = await self._facts.of(state.task.organization_id)
        ended: list[Json] = []
        for child in asked:
            row = found[child]
            if child in still_open:
                ended.append({"task_id": str(child), "open": True})
                continue
            value = open_json(row, keys=facts.data_keys, crypto=self._drivers.crypto) if row["sealed"] else None
            ended.append(_child_end(child, row["label"], TaskState(row["state"]), row["error_code"], value=value))
        content = seal(ended, "outcome", facts, self._drivers)
        row_of_call = call_row(state, call, "performed")
        row_of_call.outcome_content_id = content.row.id
        return await self._keep(state, call, KeptCall(row_of_call, [content.row]), value=ended)

    async def _children_of(self, state: PassState, asked: list[UUID]) -> dict[UUID, Row]:
        """Return the rows of spawned tasks; raise NotFound where one was not spawned by this task."""
        rows = await self._database.read(
            "load_children",
            {"organization_id": state.task.organization_id, "task_ids": asked, "parent_id": state.task.id},
        )
        found = {row["task_id"]: row for row in rows}
        missing = [child for child in asked if child not in found]
        if missing:
            raise NotFound(f"task `{missing[0]}` was not spawned by this one")
        return found

    async def _timer(self, state: PassState, call: Call) -> Result:
        task = state.task
        now = self._facts.now()
        seconds = timer_seconds(call.arguments, now=task.run.clock(now) or now)
        row = TimerRow(
            n=0,
            organization_id=task.organization_id,
            task_id=task.id,
            claim_token=task.token,
            key=call.key,
            attempt=task.attempt,
            tries=call.tries,
            name=call.name,
            delay_seconds=seconds,
        )
        timed = await self._kept.time(row)
        if timed is None:
            raise StaleClaim(f"task `{task.label}` was taken from this worker; nothing was written")
        if timed.over:
            return Result(call.task_id, call.call_id, "performed", seq=state.next_seq())
        state.wake_by(timed.due_at)
        return Result(call.task_id, call.call_id, "waiting")

    async def _signal(self, state: PassState, call: Call) -> Result:
        task = state.task
        if not 0 < len(call.name) <= NAME_LENGTH_MAX or not call.name.isprintable():
            raise InvalidRequest(f"the name of a signal has 1 to {NAME_LENGTH_MAX} printable characters")
        row = TakeRow(
            organization_id=task.organization_id,
            task_id=task.id,
            claim_token=task.token,
            run_id=task.run_id,
            key=call.key,
            attempt=task.attempt,
            tries=call.tries,
            name=call.name,
            limit_seconds=limit_of(call.arguments),
        )
        facts = await self._facts.of(task.organization_id)
        match await self._signals.take_signal(state, row, facts=facts):
            case SignalTaken(value):
                return Result(call.task_id, call.call_id, "performed", value=value, seq=state.next_seq())
            case SignalMissed(detail):
                return self._not_performed(state, call, "failed", TIMED_OUT, detail=detail)
            case SignalAwaited(due_at):
                source = signal_source(task.run_id, call.name)
                state.waits.append(Wait(WaitKind.SIGNAL, (source,), name=call.name))
                if due_at is not None:
                    state.wake_by(due_at)
                return Result(call.task_id, call.call_id, "waiting")

    async def _kpi_values(self, state: PassState, call: Call) -> Result:
        facts = await self._facts.of(state.task.organization_id)
        return await self._keep_reading(state, call, await self._kpis.of_run(state.task.run_id, facts), facts)

    async def _keep_reading(self, state: PassState, call: Call, value: Json, facts: OrganizationFacts) -> Result:
        """Record what was read, for every later pass."""
        content = seal(value, "outcome", facts, self._drivers)
        row = call_row(state, call, "performed")
        row.outcome_content_id = content.row.id
        return await self._keep(state, call, KeptCall(row, [content.row]), value=value)

    async def _step(self, state: PassState, call: Call) -> Result:
        facts = await self._facts.of(state.task.organization_id)
        outcome = "failed" if call.options.get("state") == "failed" else "performed"
        content = seal(call.arguments, "step", facts, self._drivers)
        row = call_row(state, call, outcome)
        row.outcome_content_id = content.row.id
        return await self._keep(state, call, KeptCall(row, [content.row]), value=call.arguments, outcome=outcome)

    async def _keep(
        self, state: PassState, call: Call, member: KeptCall, *, value: Json, outcome: str = "performed"
    ) -> Result:
        if not await self._kept.keep(member):
            if not await claim_stands(self._database, state.task.organization_id, state.task.claim):
                raise StaleClaim(f"task `{state.task.label}` was taken from this worker; nothing was written")
            raise StillRunning(f"call `{call.name}` of this task was recorded before: run the pass again")
        made = "failed" if outcome == "failed" else "performed"
        return Result(call.task_id, call.call_id, made, value=value, seq=state.next_seq())  # type: ignore[arg-type]

    def _act(self, state: PassState, call: Call, kind: ActKind, arguments: Json) -> Act:
        clock = state.task.run.clock(self._facts.now())
        return Act(state.principal, kind, call.name, arguments, call=CallKey(call.key, call.tries), clock=clock)

    def _result(self, state: PassState, call: Call, done: Recorded | Pending | Refused) -> Result:
        if isinstance(done, Refused):
            state.count_refusal(call.kind, call.name, call.arguments)
        match done:
            case Recorded(state=ActionState.PERFORMED, value=value):
                return Result(call.task_id, call.call_id, "performed", value=value, seq=state.next_seq())
            case Recorded(state=ended, error=error, detail=detail, reasons=reasons):
                return self._not_performed(state, call, ended.value, error, detail=detail, reasons=reasons)
            case Pending(approval_id=approval_id):
                state.waits.append(Wait(WaitKind.APPROVAL, (approval_id,)))
                return Result(call.task_id, call.call_id, "waiting")
            case Refused(error=error, detail=detail, reasons=reasons):
                return self._not_performed(state, call, "refused", error, detail=detail, reasons=reasons)

    @staticmethod
    def _not_performed(
        state: PassState, call: Call, outcome: str, error: str, *, detail: str, reasons: tuple[str, ...] = ()
    ) -> Result:
        told = told_error(error or outcome, detail, reasons)
        return Result(call.task_id, call.call_id, outcome, error=told, seq=state.next_seq())  # type: ignore[arg-type]


def _dialect(call: Call) -> Dialect:
    """Return the dialect in which a question to a model is written; raise InvalidRequest for one that answers no question."""
    named = call.options.get("dialect", Dialect.CHAT.value)
    if named not in (Dialect.CHAT.value, Dialect.RESPONSES.value, Dialect.MESSAGES.value, Dialect.EMBEDDINGS.value):
        raise InvalidRequest(f"there is no dialect `{str(named)[:40]}`")
    return Dialect(named)


def _joined(call: Call, number: int) -> int:
    """Return how many of so many tasks must have ended; raise InvalidRequest where that cannot be."""
    match call.arguments.get("join", "all"):
        case "all":
            return number
        case "any":
            return min(1, number)
        case int(least) if not isinstance(least, bool) and 0 < least <= number:
            return least
        case other:
            raise InvalidRequest(f"`join` is `all`, `any` or a number from 1 to {number}, not `{str(other)[:40]}`")


def _task_ids(call: Call, name: str) -> list[UUID]:
    """Return the ids of the spawned tasks that a call names; raise InvalidRequest or TooLarge."""
    given = call.arguments.get(name)
    if not isinstance(given, list):
        raise InvalidRequest(f"`{name}` must be a list of the ids of spawned tasks")
    if len(given) > TASKS_PER_SPAWN_MAX:
        raise TooLarge(f"{len(given)} spawned tasks are waited for at once, at most {TASKS_PER_SPAWN_MAX} are")
    found = [as_uuid(each) for each in given]
    if any(each is None for each in found):
        raise InvalidRequest(f"`{name}` must be a list of the ids of spawned tasks")
    return [each for each in found if each is not None]


def _child_end(child: UUID, label: str, state: TaskState, error_code: str | None, *, value: Json) -> Json:
    """Return what a parent is told of a child: its value, or why there is none."""
    if state is TaskState.SUCCEEDED:
        return {"task_id": str(child), "ok": True, "value": value, "detail": ""}
    told = value.get("detail") if isinstance(value, dict) else None
    detail = f"{label}: {error_code or state.value}" + (f": {told}" if told else "")
    return {"task_id": str(child), "ok": False, "value": None, "detail": detail}
