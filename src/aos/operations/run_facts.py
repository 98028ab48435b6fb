"""What acts inside a run rest on: its own clock, its budgets, its origin key, and where its values came from.

A run's key and clock never change while it lives, so they are kept by organization and run; origins are read for each act, since every
outcome adds to them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from aos.kernel.acts import Act
from aos.kernel.budget import Budget
from aos.kernel.errors import NotFound
from aos.kernel.identity import Principal
from aos.kernel.json import MISSING, read_path
from aos.kernel.origins import look_ups, origin_of
from aos.kernel.policy.values import Origin
from aos.kernel.tools import Tool
from aos.operations.contents import open_content
from aos.operations.drivers import Drivers
from aos.operations.facts import FactsCache
from aos.store.hot.database import Database

RUNS_KEPT_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What never changes of one run."""

    run_id: UUID
    origin_key: bytes
    budgets: tuple[Budget, ...]
    clock_start: datetime | None
    created_at: datetime

    def clock(self, now: datetime) -> datetime | None:
        """Return the run's own time at the database's `now`, None where the run carries no clock."""
        return None if self.clock_start is None else self.clock_start + (now - self.created_at)


class RunFactsCache:
    """The run facts that this process has met, the oldest dropped first."""

    def __init__(self, database: Database, facts: FactsCache, drivers: Drivers) -> None:
        self._database = database
        self._facts = facts
        self._drivers = drivers
        self._kept: OrderedDict[tuple[UUID, UUID], RunFacts] = OrderedDict()
        self._task_budgets: OrderedDict[tuple[UUID, UUID], tuple[Budget, ...]] = OrderedDict()

    async def of_run(self, organization_id: UUID, run_id: UUID) -> RunFacts:
        """Return the facts of a run; raise NotFound where there is none."""
        kept = self._kept.get((organization_id, run_id))
        if kept is not None:
            return kept
        rows = await self._database.read("load_run_facts", {"organization_id": organization_id, "run_id": run_id})
        if not rows:
            raise NotFound(f"there is no run `{run_id}`")
        row = rows[0]
        facts = await self._facts.of(organization_id)
        loaded = RunFacts(
            run_id=run_id,
            origin_key=open_content(row, keys=facts.data_keys, crypto=self._drivers.crypto),
            budgets=tuple(msgspec.convert(row["budgets"], list[Budget])),
            clock_start=row["clock_start"],
            created_at=row["created_at"],
        )
        self._kept[organization_id, run_id] = loaded
        while len(self._kept) > RUNS_KEPT_MAX:
            self._kept.popitem(last=False)
        return loaded

    async def of(self, act: Act) -> RunFacts:
        """Return the facts of the run that an act's claim belongs to."""
        claim = act.principal.claim
        assert claim is not None
        return await self.of_run(act.principal.organization_id, claim.run_id)

    async def budgets(self, act: Act) -> tuple[Budget, ...]:
        """Return the budgets of an act's task, of the tasks above it and of its runs, none outside a run.

        A task's budget is written before the task can act, and never changes.
        """
        return await self.budgets_of(act.principal)

    async def budgets_of(self, principal: Principal) -> tuple[Budget, ...]:
        """Return the budgets above whatever a principal does, as `budgets` does."""
        claim = principal.claim
        if claim is None:
            return ()
        at = (principal.organization_id, claim.task_id)
        found = self._task_budgets.get(at)
        if found is None:
            rows = await self._database.read("load_task_budgets", {"organization_id": at[0], "task_id": at[1]})
            found = self._task_budgets[at] = tuple(msgspec.convert(rows[0]["budgets"], list[Budget]))
            while len(self._task_budgets) > RUNS_KEPT_MAX:
                self._task_budgets.popitem(last=False)
        return (*found, *(await self.of_run(at[0], claim.run_id)).budgets)

    async def origins(self, act: Act, tool: Tool) -> Mapping[str, Origin]:
        """Return where the value of each declared sink of `act` came from; outside a run all are the model's."""
        values = {sink: read_path(act.arguments, sink) for sink in tool.sinks}
        given = {sink: value for sink, value in values.items() if value is not MISSING}
        if act.principal.claim is None:
            return dict.fromkeys(given, Origin.MODEL)
        run = await self.of(act)
        tokens = frozenset[bytes]().union(*(look_ups(value, key=run.origin_key) for value in given.values()))
        rows = await self._database.read(
            "load_origins",
            {"organization_id": act.principal.organization_id, "run_id": run.run_id, "tokens": list(tokens)},
        )
        found: dict[bytes, set[tuple[Origin, bool]]] = {}
        for token, origin, whole in rows[0]["found"]:
            found.setdefault(bytes.fromhex(token), set()).add((Origin(origin), whole))
        incomplete = rows[0]["origin_incomplete"]
        return {
            sink: origin_of(value, found, key=run.origin_key, incomplete=incomplete) for sink, value in given.items()
        }
