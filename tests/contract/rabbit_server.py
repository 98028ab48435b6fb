"""A real RabbitMQ for tests, of Debian's packages unpacked in a folder: nothing is installed, and all of it goes with the test.

with rabbitmq() as broker:
    broker.url
    broker.kill()
    broker.start()
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.folders import new_folder

PACKAGES = (
    "rabbitmq-server", "erlang-base", "erlang-asn1", "erlang-crypto", "erlang-eldap", "erlang-ftp", "erlang-inets",
    "erlang-mnesia", "erlang-os-mon", "erlang-parsetools", "erlang-public-key", "erlang-runtime-tools", "erlang-snmp",
    "erlang-ssl", "erlang-syntax-tools", "erlang-tftp", "erlang-tools", "erlang-xmerl",
)  # fmt: skip
FETCH_SECONDS = 300
START_SECONDS = 120


class NoRabbit(Exception):
    """RabbitMQ cannot be had here; the message says why."""


class Rabbit:
    """One server, its name server, and where they are."""

    def __init__(self, folder: Path) -> None:
        self.port, self._names_port, self._links_port = (_free_port() for _ in range(3))
        self._folder = folder
        self._erlang = folder / "root/usr/lib/erlang"
        (folder / "home").mkdir()
        (folder / "plugins").write_text("[].\n")
        for name in ("environment", "rabbit.conf"):
            (folder / name).touch()
        epmd = [
            str(next(self._erlang.glob("erts-*/bin/epmd"))),
            "-port",
            str(self._names_port),
            "-relaxed_command_check",
        ]
        self._names = subprocess.Popen(epmd, env=self._environment(), stdout=subprocess.DEVNULL)
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return where it is."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def start(self) -> None:
        """Start the server, and return when it takes connections."""
        script = next(self._folder.glob("root/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server"))
        with (self._folder / "log.txt").open("ab") as log:
            self._server = subprocess.Popen(
                [script], env=self._environment(), stdout=log, stderr=log, start_new_session=True
            )
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > until:
                raise NoRabbit((self._folder / "log.txt").read_text(errors="replace")[-500:])
            select.select([], [], [], 0.1)

    def kill(self) -> None:
        """Kill -9; what was not to be kept is gone."""
        if self._server is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()

    def end(self) -> None:
        """End it for good."""
        self.kill()
        self._names.kill()
        self._names.wait()

    def _answers(self) -> bool:
        """Say whether it greets as AMQP servers greet one of another protocol."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as link:
            link.settimeout(2)
            link.sendall(b"AMQP\x09\x09\x09\x09")
            return link.recv(4) == b"AMQP"
        return False

    def _environment(self) -> dict[str, str]:
        home = self._folder
        return {
            "PATH": f"{self._erlang / 'bin'}:{os.environ['PATH']}",
            "HOME": str(home / "home"),
            "ERL_EPMD_PORT": str(self._names_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"aos{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._links_port),
            "RABBITMQ_MNESIA_BASE": str(home / "data"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_PID_FILE": str(home / "pid"),
            "RABBITMQ_CONF_ENV_FILE": str(home / "environment"),
            "RABBITMQ_CONFIG_FILE": str(home / "rabbit"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
        }


@contextmanager
def rabbitmq() -> Iterator[Rabbit]:
    """Yield a server that takes connections; raises NoRabbit where Debian's packages cannot be had."""
    folder = new_folder("rabbit")
    try:
        _fetch(folder)
        made = Rabbit(folder)
        try:
            made.start()
            yield made
        finally:
            made.end()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fetch(folder: Path) -> None:
    """Unpack the packages below `root`, and tell Erlang's scripts that it does not lie where Debian puts it."""
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise NoRabbit("no apt-get here fetches the package rabbitmq-server: Debian or Ubuntu runs this")
    try:
        for command in (["apt-get", "download", *PACKAGES], ["sh", "-c", 'for f in *.deb; do dpkg -x "$f" root; done']):
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=FETCH_SECONDS)
    except (subprocess.SubprocessError, OSError) as error:
        raise NoRabbit(
            f"rabbitmq-server cannot be fetched ({error}): `sudo apt-get update` and a mirror run this"
        ) from error
    for script in ("erl", "start"):
        path = folder / "root/usr/lib/erlang/bin" / script
        path.write_text(re.sub(r"ROOTDIR=/[^\s\"]+", f"ROOTDIR={folder}/root/usr/lib/erlang", path.read_text()))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
