"""The hot half of one process: its pools, its cached facts kept fresh, its gate, and the beat that says it lives."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aos.boot.canary import fire_canaries, log_failures
from aos.boot.connections import SHARES
from aos.boot.heartbeat import beat
from aos.boot.outside import open_outside
from aos.boot.plan import Plan, Ready
from aos.drivers.clock import MonotonicTicker
from aos.drivers.crypto import StandardCrypto
from aos.drivers.ids import StandardIds
from aos.drivers.key_file import KeyFile
from aos.drivers.model_http import ModelHttp
from aos.kernel.errors import AosError
from aos.kernel.ports import Cards, Jwts, KeyEncryption, McpUpstream, ToolCaller
from aos.kernel.private_hosts import read_private_hosts
from aos.kernel.tools import ToolTransport
from aos.operations.access_tokens import AccessTokens
from aos.operations.authenticate import Authenticator
from aos.operations.bell import Bell
from aos.operations.drivers import Drivers, ModelServers
from aos.operations.facts import FactsCache
from aos.operations.gate import Gate
from aos.operations.held_tools import HeldNotes
from aos.operations.mcp_tools import McpTools
from aos.operations.own_tools import OwnTools
from aos.operations.run_facts import RunFactsCache
from aos.store.hot.database import Database, DatabaseConfig

REFRESH_SECONDS: Final = 0.3
"""How often a process reads the epochs when no bell rings: well within the second that it may rest on them."""

log = logging.getLogger("aos.boot")


@dataclass(frozen=True, slots=True)
class HotServices:
    """What the doors and duties of one process act through."""

    database: Database
    facts: FactsCache
    runs: RunFactsCache
    gate: Gate
    authenticator: Authenticator
    tokens: AccessTokens
    bell: Bell
    drivers: Drivers
    ready: Ready
    held: HeldNotes


@asynccontextmanager
async def open_services(
    plan: Plan,
    key_file: Path,
    *,
    tools: Mapping[ToolTransport, ToolCaller] | None = None,
    models: ModelServers | None = None,
    jwts: Jwts | None = None,
    mcp: McpUpstream | None = None,
    cards: Cards | None = None,
    keeps_fresh: bool = True,
) -> AsyncIterator[HotServices]:
    """Open everything, fire the canaries, and keep facts and beat going until the end.

    A process that takes access tokens gives `jwts`. Without `keeps_fresh` it is the caller who reads the epochs at least once a second.
    Raises Unavailable where the database does not answer, Misconfigured where a key is missing.
    """
    share = SHARES[plan.kind]
    database = Database(
        DatabaseConfig(
            plan.app_dsn, plan.machine_dsn, app_connections_max=share.app, machine_connections_max=share.machine
        )
    )
    callers: dict[ToolTransport, ToolCaller] = dict(tools or {})
    drivers = standard_drivers(KeyFile(key_file), callers, models, jwts, mcp=mcp, cards=cards)
    facts = FactsCache(database, drivers)
    runs = RunFactsCache(database, facts, drivers)
    callers[ToolTransport.AOS] = OwnTools(database, facts, drivers)
    tokens = AccessTokens(database, facts, drivers, plan.addresses)
    held_notes = HeldNotes(database, drivers.ticker.seconds)
    if mcp is not None:
        callers[ToolTransport.MCP] = McpTools(facts, mcp, held_notes)
    bell = Bell(database)
    await database.open()
    try:
        await facts.refresh()
        organizations = [row["id"] for row in await database.read("load_epochs")]
        ready = await fire_canaries(facts, organizations)
        services = HotServices(
            database,
            facts,
            runs,
            Gate(database, facts, runs, drivers),
            Authenticator(database, facts, tokens),
            tokens,
            bell,
            drivers,
            ready,
            held_notes,
        )
        log_failures(ready)
        async with AsyncExitStack() as opened:
            if models is not None:
                callers.update(
                    await opened.enter_async_context(
                        open_outside(facts, models.transport, read_private_hosts(plan.private_hosts))
                    )
                )
            await opened.enter_async_context(_kept_going(services, plan, keeps_fresh=keeps_fresh))
            yield services
    finally:
        await database.close()


def standard_drivers(
    keys: KeyEncryption,
    tools: Mapping[ToolTransport, ToolCaller] | None = None,
    models: ModelServers | None = None,
    jwts: Jwts | None = None,
    *,
    mcp: McpUpstream | None = None,
    cards: Cards | None = None,
) -> Drivers:
    """Return the drivers that every process acts through."""
    ids = StandardIds()
    return Drivers(
        ids=ids,
        ticker=MonotonicTicker(),
        crypto=StandardCrypto(ids.random_bytes),
        keys=keys,
        tools=tools or {},
        models=models,
        jwts=jwts,
        web=models.transport if models is not None else None,
        mcp=mcp,
        cards=cards,
    )


@asynccontextmanager
async def open_models(plan: Plan) -> AsyncIterator[ModelServers]:
    """Open the connections to models' servers of one process."""
    transport, local = ModelHttp(private=read_private_hosts(plan.private_hosts)), plan.local_model
    try:
        yield ModelServers(transport, local.base_url, local.key) if local is not None else ModelServers(transport)
    finally:
        await transport.close()


@asynccontextmanager
async def _kept_going(services: HotServices, plan: Plan, *, keeps_fresh: bool) -> AsyncIterator[None]:
    rung = asyncio.Event()
    services.bell.on("aos_epoch", lambda _: rung.set())
    services.bell.start()
    tasks = [asyncio.create_task(beat(services.database, plan, services.ready, pid=os.getpid()), name="beat")]
    if keeps_fresh:
        tasks.append(asyncio.create_task(_keep_fresh(services.facts, rung), name="facts"))
    try:
        yield
        await services.gate.drain()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await services.bell.stop()


async def _keep_fresh(facts: FactsCache, rung: asyncio.Event) -> None:
    """Read the epochs on every bell and a few times a second; a database that is away is tried again."""
    failing = False
    while True:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(rung.wait(), REFRESH_SECONDS)
        rung.clear()
        try:
            await facts.refresh()
            if failing:
                log.info("the database answers again")
            failing = False
        except AosError as error:
            if not failing:
                log.warning("the epochs cannot be read: %s", error.detail)
            failing = True
