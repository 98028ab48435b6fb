"""`aos up`: starts Postgres and every process of AOS, keeps them running, and ends them in order.

Rules a reader must not break:
- One thread, one loop; it starts all processes, so that Linux ends them with it (PR_SET_PDEATHSIG).
- It opens the listening sockets and holds them: while a process restarts, connections wait instead of failing.
- Whatever dies is started again after a pause; Postgres outlives the supervisor and is adopted by the next one.
"""

from __future__ import annotations

import os
import secrets
import select
import socket
import time
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from ipaddress import ip_address
from typing import Final

from aos.boot.addresses import addresses_of, private_hosts_of, url_of
from aos.boot.broker import broker_of
from aos.boot.by_hand import ask_to_end, workers_by_hand
from aos.boot.children import Child, Role, pause_seconds
from aos.boot.config import Config, settings_of
from aos.boot.connections import OPTIONAL, Kind
from aos.boot.environment import child_environment
from aos.boot.files import make_home, make_private_folder
from aos.boot.kinds import grpc_address_of, grpc_port_of, name_of, processes_of
from aos.boot.local_address import write_local_model
from aos.boot.own_process import close_to_others
from aos.boot.passwords import load_passwords
from aos.boot.paths import Paths
from aos.boot.plan import LocalModel, Plan
from aos.boot.ports import listen_at, listen_near, listen_on, reserve_on
from aos.boot.postgres import Postgres, Say, start_preparing
from aos.boot.program import program_name
from aos.boot.spare_folders import SpareFolders
from aos.boot.state import InstallationLock, State, process_state, remove_state, write_state
from aos.boot.wakeup import Wakeup
from aos.kernel.errors import AosError, Unavailable

START_SECONDS: Final = 60.0
"""How long all processes together may take to serve for the first time."""
START_DEATHS_MAX: Final = 5
"""A process that ends this often before it ever serves is not tried again: what is wrong does not pass."""
DRAIN_SECONDS: Final = {
    Kind.GRPC: 30.0, Kind.DATA_PLANE: 65.0, Kind.WORKER: 30.0, Kind.LOCAL_MODEL: 10.0, Kind.CONTROL_PLANE: 15.0
}  # fmt: skip
"""In this order processes are asked to end, each kind within its time."""
_LOOK_AGAIN_SECONDS: Final = 5.0


class Supervisor:
    """One run of one installation, from its lock to its end."""

    def __init__(self, config: Config, paths: Paths, environment: Mapping[str, str], *, say: Say) -> None:
        self._config = config
        self._paths = paths
        self._say = say
        self._environment = child_environment(config, environment, metrics=paths.metrics)
        self._postgres = Postgres(config, paths, say)
        self._spare = SpareFolders(paths)
        self._listening: list[socket.socket] = []
        self._control: socket.socket | None = None
        self._model: socket.socket | None = None
        self._grpc: socket.socket | None = None
        self._local_model: LocalModel | None = None
        self._children: list[Child] = []
        self._served_once = False
        self._postgres_restart_at: float | None = None
        self._postgres_deaths = 0

    # --- start

    def start(self) -> None:
        """Bring everything up and return when it serves. Raises the error that stands in the way; nothing runs then."""
        close_to_others()
        for folder in (self._paths.postgres.folder, self._paths.aos):
            make_home(folder)
        self._lock = InstallationLock(self._paths)
        self._wakeup = Wakeup()
        try:
            self._bring_up()
        except BaseException:
            self._end_children(at_once=True)
            self._postgres.stop()
            self._spare.release()
            remove_state(self._paths)
            self._lock.release()
            raise

    def _bring_up(self) -> None:
        began = time.monotonic()
        for folder in (self._paths.aos, self._paths.sockets, self._paths.logs, self._paths.metrics):
            make_private_folder(folder)
        self._spare.hold()
        for stale in self._paths.metrics.iterdir():
            stale.unlink()
        processes = processes_of(self._config)
        listeners = max(1, processes.get(Kind.DATA_PLANE, 1))
        self._listening = listen_on(self._config.host, self._config.port, paths=self._paths, count=listeners)
        if not is_loopback(self._config.host):
            self._say(
                f"listening on `{self._config.host}`: other machines reach it, without TLS: put an ingress before it"
            )
        if Kind.GRPC in processes:
            port = grpc_port_of(self._config)
            self._grpc = reserve_on(self._config.host, port, paths=self._paths, setting="AOS_GRPC_PORT (0: no gRPC)")
        if Kind.CONTROL_PLANE in processes:
            self._control = listen_at(self._paths.control_socket)
        if Kind.LOCAL_MODEL in processes:
            self._model = listen_near()
            base_url = f"http://127.0.0.1:{self._model.getsockname()[1]}/v1"
            self._local_model = LocalModel(base_url, secrets.token_urlsafe(32))
        write_local_model(self._paths, self._local_model)
        preparing = start_preparing(os.getpid(), self._environment)
        try:
            for kind, count in processes.items():
                for number in range(count):
                    self._children.append(self._start_child(kind, number, count=count))
            self._save()
            self._postgres.start()
            passwords = load_passwords(self._paths.password_file)
            prepared = self._postgres.prepare(preparing, passwords, processes)
        finally:
            preparing.kill()
            preparing.wait()
        self._say(
            f"database `{prepared.database}` is ready (Postgres {prepared.server_version}; the processes hold at most "
            f"{prepared.connections} of its {prepared.connections_available} connections)"
        )
        for child in self._children:
            child.give(self._plan(child))
        self._wait_until_served(began + START_SECONDS)
        self._served_once = True
        self._save()
        governed = "governed" if self.governed() else "NOT governed: a canary act was not refused, see `aos status`"
        self._say(f"AOS is ready at {url_of(self._config)} after {time.monotonic() - began:.1f} s, {governed}")
        for line in sign_in_lines(self._postgres.prepared.link, url_of(self._config)):
            self._say(line)

    def governed(self) -> bool:
        """Say whether every process that decides saw all canary acts refused."""
        return all(child.ready is not None and child.ready.governed for child in self._needed)

    @property
    def _needed(self) -> list[Child]:
        return [child for child in self._children if child.role.kind not in OPTIONAL]

    def _start_child(self, kind: Kind, number: int, *, count: int) -> Child:
        name = name_of(kind, number, count=count)
        alone = {Kind.CONTROL_PLANE: self._control, Kind.LOCAL_MODEL: self._model}
        inherited = self._listening[number] if kind is Kind.DATA_PLANE else alone.get(kind)
        listening = inherited.fileno() if inherited is not None else -1
        logs = self._paths.logs
        child = Child(
            Role(kind, name, number, listening, output=logs / f"{name}.out", log=logs / f"{name}.log"),
            self._environment,
        )
        child.start()
        return child

    def _plan(self, child: Child) -> Plan:
        role, prepared = child.role, self._postgres.prepared
        return Plan(
            role.kind, role.name, role.number, self._config.host, self._config.port,
            *(("", "") if role.kind in OPTIONAL else (prepared.app_dsn, prepared.machine_dsn)),
            listen_fd=role.listening, log=str(role.log),
            broker=broker_of(self._config) if role.kind is Kind.WORKER else "",
            local_model=None if role.kind is Kind.CONTROL_PLANE else self._local_model,
            addresses=addresses_of(self._config), private_hosts=private_hosts_of(self._config),
        )  # fmt: skip

    def _wait_until_served(self, deadline: float) -> None:
        while not all(child.ready for child in self._needed):
            if self._wakeup.asked:
                raise Unavailable("asked to end before everything was ready")
            late = [child.role.name for child in self._needed if child.ready is None]
            if time.monotonic() > deadline:
                raise Unavailable(f"{', '.join(late)} not ready within {START_SECONDS:g} s: see `{self._paths.logs}`")
            for child in self._needed:
                if child.deaths_in_row >= START_DEATHS_MAX:
                    raise Unavailable(f"{child.role.name} ends again and again: {child.last_words()}")
            self._step()

    # --- run

    def run(self) -> None:
        """Keep everything running until asked to end; then end it in order."""
        while not self._wakeup.asked:
            self._step()
        self._say("AOS is ending")
        self._drain()
        self._say("AOS has ended")

    def _step(self) -> None:
        """Wait for the next thing to happen, at most until the next restart is due, and answer it."""
        happened = self._wait()
        if self._wakeup.asked:
            return
        for child in self._children:
            watched = child.watched()
            for descriptor, what in watched.items():
                if descriptor in happened and what == "ready":
                    self._on_ready(child)
            if any(descriptor in happened and what == "ended" for descriptor, what in watched.items()):
                self._on_death(child)
        running = self._postgres.running
        if running is not None and self._postgres_restart_at is None and not running.is_running():
            self._say("Postgres has ended; starting it again")
            self._postgres_restart_at = time.monotonic()
        self._restart_what_is_due()

    def _wait(self) -> set[int]:
        poller = select.poll()
        poller.register(self._wakeup.fileno(), select.POLLIN)
        for child in self._children:
            for descriptor in child.watched():
                poller.register(descriptor, select.POLLIN)
        running = self._postgres.running
        if running is not None and self._postgres_restart_at is None:
            poller.register(running.fileno(), select.POLLIN)
        due = [child.restart_at for child in self._children] + [self._postgres_restart_at]
        next_due = min((at for at in due if at is not None), default=time.monotonic() + _LOOK_AGAIN_SECONDS)
        timeout_seconds = min(_LOOK_AGAIN_SECONDS, max(0.0, next_due - time.monotonic()))
        happened = {descriptor for descriptor, _ in poller.poll(timeout_seconds * 1000 + 1)}
        self._wakeup.clear()
        return happened

    def _on_ready(self, child: Child) -> None:
        if not child.read_ready():
            return
        again = " again" if child.restarts else ""
        self._say(f"{child.role.name} is ready{again} (pid {child.pid})")
        if self._served_once:
            self._save()

    def _on_death(self, child: Child) -> None:
        pid = child.pid
        child.kill()  # what it started in its group goes with it
        code = child.bury()
        how = f"signal {-code}" if code < 0 else f"exit status {code}"
        if child.role.kind in OPTIONAL and child.deaths_in_row >= START_DEATHS_MAX:
            self._give_up(child, how)
        else:
            pause = max(0.0, (child.restart_at or 0.0) - time.monotonic())
            self._say(f"{child.role.name} (pid {pid}) ended by {how}; starting it again in {pause:.1f} s")
        self._save()

    def _give_up(self, child: Child, how: str) -> None:
        """Go on without a process that AOS does not need; who asks for it is refused at once."""
        child.restart_at = None
        if self._model is not None:
            self._model.close()
        write_local_model(self._paths, None)
        self._say(f"{child.role.name} ends again and again, now by {how}; going on without: {child.last_words()}")

    def _restart_what_is_due(self) -> None:
        now = time.monotonic()
        if self._postgres_restart_at is not None and self._postgres_restart_at <= now:
            self._restart_postgres()
        for child in self._children:
            if child.restart_at is not None and child.restart_at <= now:
                child.start()
                if self._postgres.prepared.app_dsn:
                    child.give(self._plan(child))
                self._save()

    def _restart_postgres(self) -> None:
        try:
            as_before = self._postgres.restart()
        except AosError as error:
            self._postgres_deaths += 1
            pause = pause_seconds(self._postgres_deaths)
            self._postgres_restart_at = time.monotonic() + pause
            self._say(f"Postgres does not start ({error.detail}); trying again in {pause:.1f} s")
            return
        self._postgres_restart_at, self._postgres_deaths = None, 0
        self._say("Postgres runs again")
        if not as_before:
            self._move_to_new_address()
        self._save()

    def _move_to_new_address(self) -> None:
        """Give every process the address that Postgres has now: its old port was taken meanwhile."""
        assert self._postgres.running is not None
        self._postgres.prepared = replace(
            self._postgres.prepared,
            app_dsn=with_port(self._postgres.prepared.app_dsn, self._postgres.running.port),
            machine_dsn=with_port(self._postgres.prepared.machine_dsn, self._postgres.running.port),
        )
        for child in self._children:
            child.ask_to_end()

    # --- end

    def _drain(self) -> None:
        """End the processes kind by kind, then Postgres; asked a second time, end them at once."""
        for listening in self._listening:
            listening.close()
        asked = self._wakeup.asked
        by_hand = ask_to_end([each for each in workers_by_hand(self._paths) if each.embedded])
        for name in by_hand.open:
            self._say(f"{name}, which was started by hand, ends with it: it works on this Postgres")
        self._end_children(at_once=False)
        by_hand.finish(lambda: self._wakeup.asked > asked)
        for held in (self._model, self._grpc):
            if held is not None:
                held.close()
        write_local_model(self._paths, None)
        if self._control is not None:
            self._control.close()
            self._paths.control_socket.unlink(missing_ok=True)
        self._postgres.stop()
        self._spare.release()
        remove_state(self._paths)
        self._lock.release()

    def _end_children(self, *, at_once: bool) -> None:
        asked = self._wakeup.asked
        for kind, seconds in DRAIN_SECONDS.items():
            there = [child for child in self._children if child.role.kind is kind and child.pid]
            for child in there:
                child.ask_to_end()
            deadline = time.monotonic() + (0.0 if at_once else seconds)
            for child in there:
                while not at_once and self._wakeup.asked <= asked and time.monotonic() < deadline:
                    if _ended(child, self._wakeup, deadline - time.monotonic()):
                        break
                child.kill()
                child.bury()

    def _save(self) -> None:
        write_state(
            self._paths,
            State(
                version=version("aos"),
                installation=str(self._paths.installation),
                supervisor=process_state("supervisor", "supervisor", os.getpid(), ready=self._served_once),
                host=self._config.host,
                port=self._config.port,
                url=url_of(self._config),
                logs=str(self._paths.logs),
                ready=self._served_once,
                postgres=self._postgres.state() if self._postgres.prepared.server_version else None,
                processes=tuple(child.state() for child in self._children),
                agent_path=tuple(str(folder) for folder in self._config.agent_path),
                grpc=grpc_address_of(self._config) if self._grpc is not None else "",
                settings=settings_of(self._config),
            ),
        )


def _ended(child: Child, wakeup: Wakeup, timeout_seconds: float) -> bool:
    """Wait until the process ended or a signal came; say whether it ended."""
    ending = [descriptor for descriptor, what in child.watched().items() if what == "ended"]
    poller = select.poll()
    for descriptor in (wakeup.fileno(), *ending):
        poller.register(descriptor, select.POLLIN)
    happened = {descriptor for descriptor, _ in poller.poll(max(0.0, timeout_seconds) * 1000 + 1)}
    wakeup.clear()
    return bool(happened.intersection(ending))


def sign_in_lines(link: str, url: str) -> list[str]:
    """Return how the first administrator comes in, once; nothing where somebody has."""
    if not link:
        return []
    lines = ["nobody has signed in yet; this link works once, within 24 hours:"]
    if find_spec("aos.console.urls") is not None:  # asked here without importing what serves it
        lines.append(f"  in a browser     {url}/console/sign-in?link={link}")
    return [*lines, f"  in this terminal {program_name()} login {link}"]


def is_loopback(host: str) -> bool:
    """Say whether an address is reached from its own machine alone; a name counts by its literal, `localhost`."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def with_port(dsn: str, port: int) -> str:
    """Return a connection string of ours with another port."""
    from psycopg.conninfo import make_conninfo

    return make_conninfo(dsn, port=str(port))
