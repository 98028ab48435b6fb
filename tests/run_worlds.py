"""A run for tests of what people read: its rows written straight into the tables, its acts done through the gate.

company = make_company(plane, agents=[...], tools=[...], rules=[...])
run = company.start("month-end", "match", "pay")
company.do(run, "pay", company.act("finance", "payments.create", {...}))
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from aos.kernel.acts import Act, CallKey
from aos.kernel.agents import Agent
from aos.kernel.identity import Claim
from aos.kernel.json import Json
from aos.kernel.policy.values import Rule
from aos.kernel.tools import Tool
from aos.operations.contents import seal_content
from aos.operations.integrate import integrate_all
from aos.store.rows import ContentRow
from tests import worlds
from tests.planes import Plane
from tests.worlds import IDS, Caller, World

CONTENT = (
    "insert into content (organization_id, id, purpose, data_key_id, salt, sealed)"
    " values (%s, %s, %s, %s, %s::text::bytea, %s::text::bytea)"
)


@dataclass
class TestRun:
    """One run with its running tasks by name, and the claims that acts in them carry."""

    __test__ = False
    id: UUID
    tasks: dict[str, UUID] = field(default_factory=dict)
    claims: dict[str, UUID] = field(default_factory=dict)


@dataclass
class Company:
    """The plane's organization with agents, tools and rules, and what is done in it."""

    plane: Plane
    world: World
    caller: Caller = field(default_factory=Caller)

    def perform(self, *acts: Act) -> list[Any]:
        """Pass acts through the gate, one after the other, and give the records their places."""

        async def go() -> list[Any]:
            async with self.world.running(self.caller) as aos:
                done = [await aos.gate.perform(act) for act in acts]
                await integrate_all(aos.database, aos.facts, aos.drivers)
                return done

        return asyncio.run(go())

    def act_in(self, run: TestRun, task: str, agent: str, *, tool: str, arguments: Json, key: str) -> Act:
        """Return a tool call inside a task."""
        act = self.world.act(agent, tool, arguments, call=CallKey(key))
        claim = Claim(run.id, run.tasks[task], 1, run.claims[task])
        return replace(act, principal=replace(act.principal, claim=claim))

    def start(self, name: str, *tasks: str, agent: str, parent: str | None = None, goal: str = "") -> TestRun:
        """Write a run whose tasks are running under claims; all but `parent` are children of it."""
        run = TestRun(IDS.new())
        org = self.world.organization_id

        async def contents() -> list[ContentRow]:
            async with self.world.running(self.caller) as aos:
                keys = (await aos.facts.of(org)).data_keys
                values: list[Json | bytes] = [IDS.random_bytes(32), goal]
                return [
                    seal_content(
                        value, purpose="run", organization_id=org, keys=keys, crypto=aos.drivers.crypto, ids=IDS
                    ).row
                    for value in values
                ]

        key, told = asyncio.run(contents())
        root = self.world.principal(agent).chain[:1]
        chain = [{"kind": link.kind.value, "id": str(link.id), "name": link.name, "version": 0} for link in root]
        with psycopg.connect(self.world.test_database.owner) as connection:
            for row in (key, told):
                connection.execute(CONTENT, (org, row.id, "run", row.data_key_id, row.salt, row.sealed))
            connection.execute(
                "insert into run (organization_id, id, name, state, chain, labels, goal_content_id,"
                " origin_key_content_id, tasks_open, tasks_total) values (%s, %s, %s, 'running', %s, %s, %s, %s, %s, %s)",
                (org, run.id, name, Jsonb(chain), Jsonb({"month": "2026-11"}), told.id, key.id, len(tasks), len(tasks)),
            )
            for task in tasks:
                run.tasks[task], run.claims[task] = IDS.new(), IDS.new()
                connection.execute(
                    "insert into task (organization_id, id, run_id, name, label, kind, agent_id, parent_id, chain, spec,"
                    " state, attempt, claim_token, started_at)"
                    " values (%s, %s, %s, %s, %s, 'agent', %s, %s, %s, '{}', 'running', 1, %s, aos_now())",
                    (
                        org,
                        run.tasks[task],
                        run.id,
                        task,
                        task,
                        self.world.agents[agent].id,
                        run.tasks[parent] if parent is not None and task != parent else None,
                        Jsonb(chain),
                        run.claims[task],
                    ),
                )
        return run


def make_company(
    plane: Plane, *, agents: Sequence[Agent] = (), tools: Sequence[Tool] = (), rules: Sequence[Rule] = ()
) -> Company:
    """Write agents, tools and rules into the plane's organization."""
    keys: Any = plane.drivers.keys
    named = {each.name: each for each in agents}
    world = World(
        plane.database, plane.actor.organization_id, plane.actor.person_id, named, {t.name: t for t in tools}, keys
    )
    with psycopg.connect(plane.database.owner) as connection:
        for agent in agents:
            worlds._write_agent(connection, world, agent)
        for tool in tools:
            worlds._write_tool(connection, world, tool)
        for rule in rules:
            worlds._write_rule(connection, world, rule)
        connection.execute("update organization set epoch = epoch + 1 where id = %s", (world.organization_id,))
    return Company(plane, world)
