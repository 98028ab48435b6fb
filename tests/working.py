"""A worker in this process on a test's own organization, with inline agents, for tests of whole runs.

async with working(world) as aos:
    run_id = await aos.start("month-end", input={"month": "2026-01"})
    run = await aos.ended(run_id)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from aos.kernel.identity import ChainLink, Principal, PrincipalKind
from aos.kernel.json import Json
from aos.kernel.people import Actor, Role
from aos.kernel.ports import ModelTransport
from aos.kernel.specs import spec_digest
from aos.kernel.workflow.spec import WorkflowSpec, workflow_spec
from aos.operations.approvals import Answer
from aos.operations.bell import Bell
from aos.operations.contents import open_json
from aos.operations.integrate import integrate_all
from aos.operations.orchestration import Orchestration, orchestration
from aos.operations.run_rows import RunRequest
from aos.operations.runs import RunStarted
from aos.workers.elsewhere import Elsewhere
from aos.workers.inline import InlineRunner
from aos.workers.runners import Runners
from aos.workers.worker import Worker, WorkerConfig
from tests.databases import watching
from tests.worlds import IDS, Caller, Running, World

ENDED_SECONDS = 30.0


def add_workflow(world: World, workflow: WorkflowSpec) -> None:
    """Register a workflow as the registry does."""
    spec, workflow_id = workflow_spec(workflow), IDS.new()
    with psycopg.connect(world.test_database.owner) as owner:
        owner.execute(
            "insert into workflow (organization_id, id, name, version) values (%s, %s, %s, 1)",
            (world.organization_id, workflow_id, workflow.name),
        )
        owner.execute(
            "insert into workflow_version (organization_id, workflow_id, version, id, spec, digest)"
            " values (%s, %s, 1, %s, %s, %s)",
            (world.organization_id, workflow_id, IDS.new(), Jsonb(spec), spec_digest(spec)),
        )


@dataclass
class Working:
    """One process with a worker."""

    world: World
    running: Running
    do: Orchestration
    worker: Worker
    bell: Bell

    @property
    def person(self) -> Principal:
        """Return the person who starts runs."""
        link = ChainLink(PrincipalKind.PERSON, self.world.person_id, "maria@larkspur.example")
        return Principal(self.world.organization_id, (link,), roles=("operator",))

    @property
    def approver(self) -> Actor:
        """Return the person who answers approvals."""
        roles = frozenset({Role.APPROVER})
        return Actor(self.world.organization_id, self.world.person_id, "maria@larkspur.example", roles)

    async def start(self, workflow: str | None = None, *, agent: str | None = None, **more: Any) -> UUID:
        """Start a run and return its id."""
        started = await self.do.runs.start_run(self.person, RunRequest(workflow=workflow, agent=agent, **more))
        assert isinstance(started, RunStarted), started
        return started.run_id

    async def ended(self, run_id: UUID) -> dict[str, Any]:
        """Return the run once it has ended, with its output."""
        async with asyncio.timeout(ENDED_SECONDS):
            while (run := self.run(run_id))["state"] in ("running", "paused"):
                await self.bell.wait("aos_run", str(run_id), timeout_seconds=0.2)
        return run

    async def until(self, query: str, *params: Any) -> list[dict[str, Any]]:
        """Return the rows of a query once there are any."""
        async with asyncio.timeout(ENDED_SECONDS):
            while not (rows := self.rows(query, *params)):
                await asyncio.sleep(0.02)
        return rows

    async def answer(self, approval_id: UUID, answer: Answer = Answer.APPROVE, *, comment: str = "") -> None:
        """Answer an approval."""
        await self.do.approvals.answer_approval(self.approver, approval_id, answer=answer, comment=comment)

    def run(self, run_id: UUID) -> dict[str, Any]:
        """Return a run's row, its output opened."""
        (run,) = self.rows("select * from run where id = %s", run_id)
        return {**run, "output": self.content(run["output_content_id"])}

    def tasks(self, run_id: UUID) -> dict[str, dict[str, Any]]:
        """Return the tasks of a run by label, outputs opened."""
        rows = self.rows("select * from task where run_id = %s order by id", run_id)
        return {row["label"]: {**row, "output": self.content(row["output_content_id"])} for row in rows}

    def content(self, content_id: UUID | None) -> Json:
        """Return what stands in a piece of content."""
        if content_id is None:
            return None
        (row,) = self.rows("select * from content where id = %s", content_id)
        keys = self.running.facts._facts[self.world.organization_id].data_keys
        return open_json(row, keys=keys, crypto=self.running.drivers.crypto)

    def rows(self, query: str, *params: Any) -> list[dict[str, Any]]:
        """Ask the database as its owner."""
        with watching(self.world.test_database).cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query.encode(), params).fetchall()

    async def check_books(self) -> None:
        """Every task that ended has its records, each is a leaf, and each attempt that ran has its usage event."""
        while self.rows("select 1 from ledger_pending limit 1"):  # the worker may hold the head at this moment
            await integrate_all(self.running.database, self.running.facts, self.running.drivers)
        counts = self.rows(
            "select (select count(*) from task where state in ('succeeded','failed','skipped')"
            "   and not (state = 'succeeded' and started_at is null)) as ended,"  # a fork's, taken over from the record
            " (select count(*) from record where kind = 'task.finished') as finished,"
            " (select count(*) from record where kind = 'task.started') as started,"
            " (select count(*) from usage_event where kind = 'task_runtime') as charged,"
            " (select count(*) from record) as records, (select count(*) from ledger_leaf) as leaves,"
            " (select count(*) from ledger_pending) as pending,"
            " (select count(*) from action where state = 'intended') as intended"
        )[0]
        assert counts["records"] == counts["leaves"]
        assert counts["pending"] == 0
        assert counts["intended"] == 0
        assert counts["finished"] >= counts["ended"]
        assert counts["charged"] <= counts["started"]


@asynccontextmanager
async def working(
    world: World,
    caller: Caller | None = None,
    *,
    config: WorkerConfig | None = None,
    started: bool = True,
    models: ModelTransport | None = None,
) -> AsyncIterator[Working]:
    """Run a worker beside a gate, on the world's database."""
    async with world.running(caller, models=models) as running:
        bell = Bell(running.database)
        do = orchestration(running.database, running.facts, running.gate, running.drivers)
        runners = Runners(hosts=None, inline=InlineRunner(), elsewhere=Elsewhere(do).runner_of)
        worker = Worker(do, runners, bell=bell, config=config or WorkerConfig(finish_seconds=2.0))
        bell.start()
        if started:
            await worker.start()
        try:
            yield Working(world, running, do, worker, bell)
        finally:
            await worker.stop()
            await bell.stop()
