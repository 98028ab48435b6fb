"""The database under the supervisor: an embedded Postgres that it starts, watches and stops, or one that it is told of."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping

import msgspec

from aos.boot.children import spawn
from aos.boot.config import Config
from aos.boot.connections import Kind
from aos.boot.passwords import Passwords
from aos.boot.paths import Paths
from aos.boot.prepare import Orders, Prepared, read_answer
from aos.boot.state import PostgresState
from aos.drivers.embedded_postgres.server import RunningPostgres, start

Say = Callable[[str], None]


class Postgres:
    """The database of one installation."""

    def __init__(self, config: Config, paths: Paths, say: Say) -> None:
        self._config = config
        self._paths = paths
        self._say = say
        self.running: RunningPostgres | None = None
        self.prepared = Prepared()

    def start(self) -> None:
        """Start or adopt the embedded server; nothing where the settings name another. Raises what its driver raises."""
        if self._config.database_url:
            return
        self.running = start(self._paths.postgres, announce=self._say)
        verb = "runs on from an earlier start" if self.running.adopted else "started"
        self._say(f"Postgres {verb} (pid {self.running.pid}, port {self.running.port})")

    def prepare(
        self, preparing: subprocess.Popen[bytes], passwords: Passwords, processes: Mapping[Kind, int]
    ) -> Prepared:
        """Have the database made fit to serve by a process that waits for its orders; raise the error that it met."""
        orders = Orders(
            owner_dsn=self._config.database_url or "",
            superuser_dsn=self.running.superuser_dsn() if self.running is not None else "",
            passwords=passwords,
            processes=dict(processes),
            key_file=str(self._paths.key_file),
            run_clock=self._config.allow_run_clock,
        )
        answer, _ = preparing.communicate(msgspec.json.encode(orders))
        self.prepared = read_answer(answer)
        if self.prepared.migrations:
            self._say(f"migrated the database: {', '.join(self.prepared.migrations)}")
        return self.prepared

    def restart(self) -> bool:
        """Start the embedded server anew; say whether it is reached as before. Raises what its driver raises."""
        assert self.running is not None
        port = self.running.port
        self.running.restart()
        return self.running.port == port

    def stop(self) -> None:
        """Stop the embedded server; one that was never started is no error."""
        if self.running is not None:
            self.running.stop()
            self.running = None

    def state(self) -> PostgresState:
        """Return how it stands."""
        if self.running is None:
            return PostgresState(self.prepared.server_version, "AOS_DATABASE_URL", embedded=False)
        pid = self.running.pid if self.running.is_running() else 0
        return PostgresState(self.prepared.server_version, f"127.0.0.1:{self.running.port}", embedded=True, pid=pid)


def start_preparing(supervisor_pid: int, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start the process that will make the database fit, so that it imports while Postgres starts."""
    return spawn("aos.boot.prepare", [str(supervisor_pid)], environment, output=subprocess.PIPE)
