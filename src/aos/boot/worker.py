"""A worker's process: the tasks of agents, in hosts or inline, and the background duties of the deployment."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from dataclasses import dataclass

import uvloop

from aos.boot.config import Config
from aos.boot.ending import asked_to_end
from aos.boot.engines import open_engine
from aos.boot.garbage import settle_garbage
from aos.boot.hosts import open_hosts
from aos.boot.hot import open_models, open_services
from aos.boot.mcp_servers import open_mcp
from aos.boot.paths import find_paths
from aos.boot.plan import Plan, ReadySignal
from aos.drivers.card_signatures import StandardCards
from aos.drivers.hosts.python_tools import PythonTools
from aos.kernel.tools import ToolTransport
from aos.operations.orchestration import orchestration
from aos.workers.elsewhere import Elsewhere
from aos.workers.inline import InlineRunner
from aos.workers.runners import Runners
from aos.workers.worker import Worker, WorkerConfig

log = logging.getLogger("aos.boot")


@dataclass(frozen=True, slots=True)
class Manner:
    """How one worker differs from those that `aos up` starts."""

    keeps_house: bool = True
    insist: bool = False
    """Whether a second signal ends it on the spot."""


def serve(plan: Plan, config: Config, signal: ReadySignal, *, manner: Manner | None = None) -> None:
    """Work until asked to end; then claim nothing more, let what runs end, and give back the rest."""
    if config.allow_inline:
        sys.path.extend(str(folder) for folder in config.agent_path)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(plan, config, signal, manner=manner or Manner()))


async def _serve(plan: Plan, config: Config, signal: ReadySignal, *, manner: Manner) -> None:
    paths = find_paths(config, os.environ)
    ending = asked_to_end(insist=manner.insist)
    async with (
        open_hosts(config, paths.hosts_socket(plan.name), os.environ, agent_hosts=config.hosts) as hosts,
        open_models(plan) as models,
        open_mcp(config, models.transport, os.environ) as mcp,
        open_services(
            plan,
            paths.key_file,
            tools={ToolTransport.PYTHON: PythonTools(hosts)},
            models=models,
            mcp=mcp,
            cards=StandardCards(),
            keeps_fresh=False,
        ) as hot,
    ):
        do = orchestration(hot.database, hot.facts, hot.gate, hot.drivers)
        inline = InlineRunner() if config.allow_inline else None
        runners = Runners(hosts=hosts if config.hosts else None, inline=inline, elsewhere=Elsewhere(do).runner_of)
        engine = open_engine(config, plan.broker, do)
        worker = Worker(
            do,
            runners,
            bell=hot.bell,
            config=WorkerConfig(tasks_at_once=config.tasks_at_once, keeps_house=manner.keeps_house),
            told=engine.told,
        )
        await worker.start()
        settle_garbage()
        engine.start()
        signal.send(hot.ready)
        log.info("the worker works", extra={"governed": hot.ready.governed, "engine": config.engine})
        await ending.wait()
        log.info("the worker is ending")
        await asyncio.gather(worker.stop(), engine.stop())
