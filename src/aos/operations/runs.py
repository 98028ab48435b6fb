"""Runs: start one.

A run starts in one transaction with all its tasks: the act `run:NAME` is decided like any act, and its effect is written with
it. What the starter says (input and goal) is the person's words, wherever it reappears in the run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias
from uuid import UUID

from aos.kernel.acts import Act, ActKind, Pending, Recorded, Refused
from aos.kernel.errors import InvalidRequest, NotFound, StaleFacts, TooLarge
from aos.kernel.identity import Principal
from aos.kernel.json import Json
from aos.kernel.limits import BODY_BYTES_MAX, NAME_LENGTH_MAX, STALE_RETRIES_MAX, TASK_PRIORITY_MAX
from aos.kernel.workflow.plan import plan_agent
from aos.operations.drivers import Drivers
from aos.operations.facts import FactsCache, OrganizationFacts
from aos.operations.own_acts import Allowed, OwnActs
from aos.operations.plans import planned_workflow
from aos.operations.run_rows import Planned, RunRequest, RunRows, run_rows
from aos.operations.run_starts import Besides, RunStarts
from aos.operations.run_steering import Steering
from aos.store.hot.database import Database

THREAD_LENGTH_MAX: Final = 2 * NAME_LENGTH_MAX
"""Longest thread: a name, and what a caller's own names are put under."""
_TRIES_MAX = STALE_RETRIES_MAX + 1


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run that was started, now or before under the same Idempotency-Key."""

    run_id: UUID
    replayed: bool = False


StartedRun: TypeAlias = RunStarted | Pending | Refused
RowsOf: TypeAlias = Callable[[Allowed], Awaitable[RunRows]]


class Runs(Steering):
    """Starts runs, and steers them."""

    def __init__(
        self,
        database: Database,
        facts: FactsCache,
        acts: OwnActs,
        drivers: Drivers,
        *,
        starts: RunStarts | None = None,
    ) -> None:
        """`starts` is shared by all of a process: what they write is then written together."""
        super().__init__(database, facts, drivers)
        self.starts = starts or RunStarts(database, drivers.ticker)
        self._acts = acts

    async def start_run(
        self, principal: Principal, request: RunRequest, *, besides: Besides | None = None
    ) -> StartedRun:
        """Start a run, or return the approval it waits for or why it was refused.

        The same Idempotency-Key returns the run it started. Raises NotFound for a workflow or agent that there is not,
        InvalidRequest where the input does not fit the workflow's schema or a clock is not allowed, InvalidManifest and
        TooLarge where the workflow cannot be planned, RateLimited where too many tasks are open already.
        """
        facts = await self._facts.of(principal.organization_id)
        planned = await self._planned(request, facts)
        _check_request(request, facts)
        act = Act(
            principal,
            ActKind.RUN,
            planned.name,
            _arguments(request),
            idempotency_key=request.idempotency_key,
            approval_id=request.approval_id,
            clock=request.clock,
        )

        async def rows_of(allowed: Allowed) -> RunRows:
            # As of the facts that it was decided on: the workflow may have changed since it was looked up.
            same = allowed.facts.epoch == facts.epoch
            decided = planned if same else await self._planned(request, allowed.facts)
            return run_rows(decided, request, allowed, now=self._facts.now(), drivers=self._drivers)

        return await self.begin(act, rows_of, besides=besides)

    async def begin(self, act: Act, rows_of: RowsOf, *, besides: Besides | None = None) -> StartedRun:
        """Have the start of a run decided and write it with its effect; `rows_of` makes its rows, again for each try.

        Raises StaleFacts where what it was decided on changed at every try, RateLimited where too many tasks are open.
        """
        for _ in range(_TRIES_MAX):
            ruling = await self._acts.rule_on(act)
            if isinstance(ruling, Recorded):
                return _before(ruling)
            if not isinstance(ruling, Allowed):
                return ruling
            await self.starts.room.check_room(ruling.facts.id)
            rows = await rows_of(ruling)
            if await self.starts.write(rows, besides=besides):
                self.starts.room.add(ruling.facts.id, len(rows.tasks))
                return RunStarted(rows.run_id)
            await self._acts.outdated(ruling.facts)
        raise StaleFacts(f"what the start of `{act.name}` was decided on changed {_TRIES_MAX} times")

    # --- starting ----------------------------------------------------------------------------------------------------

    async def _planned(self, request: RunRequest, facts: OrganizationFacts) -> Planned:
        if (request.workflow is None) == (request.agent is None):
            raise InvalidRequest("give either `workflow` or `agent`")
        if request.agent is not None:
            agent = facts.agents_by_name.get(request.agent)
            if agent is None:
                raise NotFound(f"there is no agent `{request.agent[:60]}`")
            return Planned(agent.name, plan_agent(agent.name), agent_id=agent.id)
        row = await self.starts.workflow(facts, request.workflow or "")
        if row is None:
            raise NotFound(f"there is no workflow `{str(request.workflow)[:60]}`")
        return planned_workflow(row, request.input)


def _arguments(request: RunRequest) -> dict[str, Json]:
    """Return the arguments of the act: what policies may read and what an approval is bound to."""
    arguments: dict[str, Json] = {"input": request.input}
    if request.goal:
        arguments["goal"] = request.goal
    return arguments


def _before(recorded: Recorded) -> StartedRun:
    """Return what was recorded under the same Idempotency-Key."""
    if recorded.error or not isinstance(recorded.value, dict):
        return Refused(recorded.action_id, recorded.error or "denied", recorded.detail)
    return RunStarted(UUID(str(recorded.value["run_id"])), replayed=True)


def _check_request(request: RunRequest, facts: OrganizationFacts) -> None:
    if request.clock is not None:
        if not facts.settings.run_clock_allowed:
            raise InvalidRequest("this organization allows no run a clock of its own: leave out `clock`")
        if request.clock.tzinfo is None:
            raise InvalidRequest("`clock` needs a zone, as in 2026-01-31T12:00:00Z")
    if len(request.goal) > BODY_BYTES_MAX // 10:
        raise TooLarge(f"the goal has {len(request.goal)} characters, at most {BODY_BYTES_MAX // 10} are kept")
    if any(len(name) > NAME_LENGTH_MAX or len(value) > NAME_LENGTH_MAX for name, value in request.labels.items()):
        raise TooLarge(f"a label has more than {NAME_LENGTH_MAX} characters")
    if request.thread is not None and len(request.thread) > THREAD_LENGTH_MAX:
        raise TooLarge(f"a thread has at most {THREAD_LENGTH_MAX} characters")
    named = (request.thread or "", *request.labels, *request.labels.values())
    if any("\0" in each for each in named):
        raise InvalidRequest("a thread and labels cannot hold the character U+0000")
    if request.budget is not None and request.budget.nanos < 0:
        raise InvalidRequest("a budget cannot be less than nothing")
    if not -TASK_PRIORITY_MAX <= request.priority <= TASK_PRIORITY_MAX:
        raise InvalidRequest(f"a priority is from -{TASK_PRIORITY_MAX} to {TASK_PRIORITY_MAX}, not {request.priority}")
