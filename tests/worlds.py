"""A small organization for tests of the gate: written straight into a fresh database, with the kernel's own values.

world = make_world(database, agents=[...], tools=[...], rules=[...])
async with world.running() as aos: await aos.gate.perform(world.act("finance", "payments.create", {...}))
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from aos.boot.outside import open_outside
from aos.drivers.card_signatures import StandardCards
from aos.drivers.clock import MonotonicTicker
from aos.drivers.crypto import StandardCrypto
from aos.drivers.ids import StandardIds
from aos.drivers.jwts import StandardJwts
from aos.drivers.key_file import KeyFile
from aos.drivers.mcp_client.pool import McpPool
from aos.drivers.mcp_client.values import McpConfig
from aos.drivers.model_http import ModelHttp
from aos.kernel.acts import Act, ActKind
from aos.kernel.agents import Agent, AgentStatus, AgentType, Runtime, ToolPermission
from aos.kernel.identity import ChainLink, Principal, PrincipalKind
from aos.kernel.json import Json
from aos.kernel.mcp_servers import McpServer
from aos.kernel.models.values import Model, Purpose
from aos.kernel.money import Money
from aos.kernel.policy.values import Rule
from aos.kernel.ports import ModelTransport, ToolCaller, ToolOutcome
from aos.kernel.private_hosts import LOOPBACK, read_private_hosts
from aos.kernel.specs import spec_digest, spec_of
from aos.kernel.tools import Effect, Repeat, ResultTrust, Tool, ToolTransport, default_repeat
from aos.operations.drivers import Drivers, ModelServers
from aos.operations.facts import FactsCache
from aos.operations.gate import Gate
from aos.operations.held_tools import HeldNotes
from aos.operations.mcp_tools import McpTools
from aos.operations.run_facts import RunFactsCache
from aos.store.hot.database import Database, DatabaseConfig
from tests.databases import Database as TestDatabase
from tests.databases import watching
from tests.folders import new_folder

IDS = StandardIds()
THIS_MACHINE = read_private_hosts(LOOPBACK)
MCP = McpConfig(commands=((sys.executable,),))
PAYMENT_SCHEMA: Json = {
    "type": "object",
    "properties": {
        "iban": {"type": "string"},
        "amount": {"type": "string", "format": "money"},
        "currency": {"type": "string"},
    },
    "required": ["iban", "amount", "currency"],
    "additionalProperties": False,
}


def agent(
    name: str, *tools: str, type: AgentType = AgentType.FUNCTIONAL, delegates: Sequence[str] = (), **more: Any
) -> Agent:
    """Return an agent that may use `tools`."""
    return replace(
        Agent(
            id=IDS.new(),
            name=name,
            version=1,
            type=type,
            status=AgentStatus.RUNNING,
            department_id=None,
            department="finance",
            owner="maria@larkspur.example",
            goal="",
            runtime=Runtime("python", f"tests.agents:{name}", inline=True),
            tools=tuple(ToolPermission(pattern) for pattern in tools),
            delegates=tuple(delegates),
        ),
        **more,
    )


def tool(name: str, *, effect: Effect = Effect.READ, schema: Json = None, **more: Any) -> Tool:
    """Return a tool whose transport is the test's own."""
    return replace(
        Tool(
            id=IDS.new(),
            name=name,
            version=1,
            effect=effect,
            repeat=default_repeat(effect),
            result_trust=ResultTrust.OWN,
            transport=ToolTransport.PYTHON,
            entry=f"tests.tools:{name}",
            schema=schema if schema is not None else {"type": "object"},
        ),
        **more,
    )


def payments(**more: Any) -> Tool:
    """Return the tool that pays."""
    return tool(
        "payments.create",
        effect=Effect.PAY,
        schema=PAYMENT_SCHEMA,
        **{"repeat": Repeat.KEYED, "money": ("amount",), "price": Money(2_000_000, "EUR"), **more},
    )


@dataclass
class Caller:
    """The far side of every tool: counts calls, remembers keys, answers what the test says."""

    answer: Callable[[Tool, Mapping[str, Json]], ToolOutcome] = lambda tool, arguments: ToolOutcome(ok=True, value="ok")
    calls: list[tuple[str, Mapping[str, Json], str]] = field(default_factory=list)
    hold: asyncio.Event | None = None

    async def call(
        self,
        tool: Tool,
        arguments: Mapping[str, Json],
        *,
        principal: Principal,
        idempotency_key: str,
        deadline_seconds: float,
    ) -> ToolOutcome:
        """Note the call and answer."""
        self.calls.append((tool.name, arguments, idempotency_key))
        if self.hold is not None:
            await self.hold.wait()
        return self.answer(tool, arguments)


@dataclass
class Running:
    """One process's worth of AOS on the world's database."""

    database: Database
    facts: FactsCache
    gate: Gate
    drivers: Drivers
    caller: Any
    upstream: McpPool


@dataclass
class World:
    """The organization, its people and agents."""

    test_database: TestDatabase
    organization_id: UUID
    person_id: UUID
    agents: dict[str, Agent]
    tools: dict[str, Tool]
    keys: KeyFile
    connect_timeout_seconds: float = 10.0
    """How long a gate waits for a connection to the database."""
    mcp: McpConfig = MCP
    """Which programs of MCP servers are run, and how they are bounded."""

    @asynccontextmanager
    async def running(
        self, caller: ToolCaller | None = None, *, dsn: str | None = None, models: ModelTransport | None = None
    ) -> AsyncIterator[Running]:
        """Run a gate in this process; `dsn` replaces the machine login (for a test's own clock), `models` answers for models."""
        used, transport = caller or Caller(), ModelHttp(private=THIS_MACHINE)
        upstream = McpPool(self.mcp, transport)
        tools: dict[ToolTransport, ToolCaller] = {ToolTransport.PYTHON: used}
        drivers = Drivers(
            ids=IDS,
            ticker=MonotonicTicker(),
            crypto=StandardCrypto(),
            keys=self.keys,
            tools=tools,
            models=ModelServers(models or transport),
            jwts=StandardJwts(),
            web=transport,
            mcp=upstream,
            cards=StandardCards(),
        )
        dsns = self.test_database.app, dsn or self.test_database.machine
        database = Database(DatabaseConfig(*dsns, connect_timeout_seconds=self.connect_timeout_seconds))
        await database.open()
        facts = FactsCache(database, drivers)
        await facts.refresh()
        tools[ToolTransport.MCP] = McpTools(facts, upstream, HeldNotes(database, drivers.ticker.seconds))
        gate = Gate(database, facts, RunFactsCache(database, facts, drivers), drivers)
        try:
            async with open_outside(facts, transport, THIS_MACHINE) as outside:
                tools.update(outside)
                yield Running(database, facts, gate, drivers, used, upstream)
                await gate.drain()
        finally:
            await gate.drain()
            await upstream.close()
            await database.close()
            await transport.close()

    def principal(self, name: str) -> Principal:
        """Return the principal of an agent that acts for its owner."""
        agent = self.agents[name]
        return Principal(
            self.organization_id,
            (
                ChainLink(PrincipalKind.PERSON, self.person_id, "maria@larkspur.example"),
                ChainLink(PrincipalKind.AGENT, agent.id, agent.name, agent.version),
            ),
        )

    def act(self, name: str, tool: str, arguments: Json = None, **more: Any) -> Act:
        """Return a tool call of an agent."""
        return Act(self.principal(name), ActKind.TOOL, tool, {} if arguments is None else arguments, **more)

    def rows(self, query: str, *params: Any) -> list[Any]:
        """Ask the database as its owner."""
        cursor = watching(self.test_database).execute(query.encode(), params)
        return cursor.fetchall() if cursor.description else []

    def publish(self, rule: Rule) -> None:
        """Put another rule in force and raise the epoch, in one transaction."""
        with psycopg.connect(self.test_database.owner) as connection:
            _write_rule(connection, self, rule)
            connection.execute("update organization set epoch = epoch + 1 where id = %s", [self.organization_id])

    def states(self) -> list[tuple[str, str]]:
        """Return the name and state of every action, in order."""
        return [(row[0], row[1]) for row in self.rows("select name, state from action order by id")]


def make_world(
    database: TestDatabase,
    *,
    agents: Sequence[Agent] = (),
    tools: Sequence[Tool] = (),
    rules: Sequence[Rule] = (),
    budgets: Sequence[tuple[str, str, Money]] = (),
    keys: KeyFile | None = None,
    models: Sequence[Model] = (),
    purposes: Sequence[Purpose] = (),
    secrets: Mapping[str, str] | None = None,
    hosts: Sequence[str] = (),
    mcp_servers: Sequence[McpServer] = (),
) -> World:
    """Create the organization; `budgets` are (name, scope of an agent or `organization`, limit a month).

    `secrets` are values by name, `hosts` where models may be reached. A second organization of one deployment shares the `keys` of the first.
    """
    keys = keys or KeyFile(new_folder("keys") / "kek")
    organization_id, person_id = IDS.new(), IDS.new()
    world = World(
        database,
        organization_id,
        person_id,
        {each.name: each for each in agents},
        {each.name: each for each in tools},
        keys,
    )
    with psycopg.connect(database.owner) as connection:
        _write_organization(connection, world, secrets or {}, hosts=hosts)
        for model in models:
            _write_versioned(connection, world, "model", name=model.name, id=model.id, spec=spec_of(model))
            write_limit(connection, organization_id, "model", name=model.name, at_most=model.concurrency)
        for purpose in purposes:
            _write_versioned(connection, world, "purpose", name=purpose.name, id=IDS.new(), spec=spec_of(purpose))
        for server in mcp_servers:
            _write_versioned(connection, world, "mcp_server", name=server.name, id=IDS.new(), spec=spec_of(server))
        for each in agents:
            _write_agent(connection, world, each)
        for tool in tools:
            _write_tool(connection, world, tool)
        for rule in rules:
            _write_rule(connection, world, rule)
        for name, scope, limit in budgets:
            scope_id = organization_id if scope == "organization" else world.agents[scope].id
            kind = "organization" if scope == "organization" else "agent"
            connection.execute(
                "insert into budget (organization_id, id, name, scope, scope_id, currency, limit_nanos, period)"
                " values (%s, %s, %s, %s, %s, %s, %s, 'month')",
                (organization_id, IDS.new(), name, kind, scope_id, limit.currency, limit.nanos),
            )
    return world


def _write_organization(
    connection: psycopg.Connection[Any], world: World, secrets: Mapping[str, str], *, hosts: Sequence[str]
) -> None:
    org, crypto = world.organization_id, StandardCrypto()
    run = connection.execute
    run("insert into organization (id, name) values (%s, %s)", (org, f"larkspur-{org}"))
    run(
        "insert into organization_settings (organization_id, currency, hosts) values (%s, 'EUR', %s)",
        (org, list(hosts)),
    )
    run(
        "insert into person (id, email, name) values (%s, %s, 'Maria')",
        (world.person_id, f"maria-{org}@larkspur.example"),
    )
    data_key, data_key_id = IDS.random_bytes(32), IDS.new()
    kek_id, wrapped = world.keys.wrap(data_key)
    run(
        "insert into data_key (organization_id, id, key_encryption_key, wrapped, state) values (%s, %s, %s, %s, 'current')",
        (org, data_key_id, kek_id, wrapped),
    )
    for purpose in ("checkpoint", "token"):
        private, public = crypto.new_signing_key()
        secret_id = IDS.new()
        sealed = crypto.seal(data_key, private, bound_to=org.bytes + secret_id.bytes)
        run(
            "insert into secret (organization_id, id, name, data_key_id, sealed) values (%s, %s, %s, %s, %s)",
            (org, secret_id, f"signing/{purpose}", data_key_id, sealed),
        )
        run(
            "insert into signing_key (organization_id, id, purpose, state, public_key, secret_id)"
            " values (%s, %s, %s, 'current', %s, %s)",
            (org, IDS.new(), purpose, public if purpose == "checkpoint" else None, secret_id),
        )
    for name, value in secrets.items():
        secret_id = IDS.new()
        sealed = crypto.seal(data_key, value.encode(), bound_to=org.bytes + secret_id.bytes)
        run(
            "insert into secret (organization_id, id, name, data_key_id, sealed) values (%s, %s, %s, %s, %s)",
            (org, secret_id, name, data_key_id, sealed),
        )
    run("insert into ledger_head (organization_id) values (%s)", (org,))


def _write_versioned(
    connection: psycopg.Connection[Any], world: World, kind: str, *, name: str, id: UUID, spec: dict[str, Any]
) -> None:
    """Write version 1 of a model or a purpose, in force."""
    connection.execute(
        f"insert into {kind} (organization_id, id, name, version) values (%s, %s, %s, 1)".encode(),
        (world.organization_id, id, name),
    )
    connection.execute(
        f"insert into {kind}_version (organization_id, {kind}_id, version, id, spec, digest)"
        " values (%s, %s, 1, %s, %s, %s)".encode(),
        (world.organization_id, id, IDS.new(), Jsonb(spec), spec_digest(spec)),
    )


def _write_agent(connection: psycopg.Connection[Any], world: World, agent: Agent) -> None:
    spec = spec_of(agent)
    connection.execute(
        "insert into agent (organization_id, id, name, type, status, version, owner_id) values (%s, %s, %s, %s, %s, %s, %s)",
        (world.organization_id, agent.id, agent.name, agent.type, agent.status, agent.version, world.person_id),
    )
    connection.execute(
        "insert into agent_version (organization_id, agent_id, version, id, spec, digest) values (%s, %s, %s, %s, %s, %s)",
        (world.organization_id, agent.id, agent.version, IDS.new(), Jsonb(spec), spec_digest(spec)),
    )
    write_limit(connection, world.organization_id, "agent", name=agent.name, at_most=agent.concurrency)


def _write_tool(connection: psycopg.Connection[Any], world: World, tool: Tool) -> None:
    spec = spec_of(tool)
    connection.execute(
        "insert into tool (organization_id, id, name, version) values (%s, %s, %s, %s)",
        (world.organization_id, tool.id, tool.name, tool.version),
    )
    connection.execute(
        "insert into tool_version (organization_id, tool_id, version, id, spec, digest) values (%s, %s, %s, %s, %s, %s)",
        (world.organization_id, tool.id, tool.version, IDS.new(), Jsonb(spec), spec_digest(spec)),
    )
    write_limit(connection, world.organization_id, "tool", name=tool.name, at_most=tool.concurrency)


def write_limit(
    connection: psycopg.Connection[Any], organization_id: UUID, kind: str, *, name: str, at_most: int | None
) -> None:
    """Set how many tasks or calls may be under way at once; None sets nothing."""
    if at_most is not None:
        connection.execute(
            "insert into concurrency_limit (organization_id, id, kind, name, at_most) values (%s, %s, %s, %s, %s)",
            (organization_id, IDS.new(), kind, name, at_most),
        )


def _write_rule(connection: psycopg.Connection[Any], world: World, rule: Rule) -> None:
    spec, policy_id = spec_of(rule), IDS.new()
    connection.execute(
        "insert into policy (organization_id, id, name, version) values (%s, %s, %s, %s)",
        (world.organization_id, policy_id, rule.id, rule.version),
    )
    connection.execute(
        "insert into policy_version (organization_id, policy_id, version, id, state, spec, digest)"
        " values (%s, %s, %s, %s, 'active', %s, %s)",
        (world.organization_id, policy_id, rule.version, IDS.new(), Jsonb(spec), spec_digest(spec)),
    )
