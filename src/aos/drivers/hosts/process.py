"""One host process: started clean, watched by its pid descriptor, ended with its whole process group.

It knows how to begin, speak and end; what work it gets is the pool's. The process asks the kernel to kill it when the
*thread* that started it ends, so a pool lives on the thread that its process keeps: the main one.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import subprocess
from collections import deque
from collections.abc import Callable
from typing import IO, Final

from aos.drivers.hosts.connection import HostConnection, OutputPipe
from aos.drivers.hosts.trees import MARK, kill_beneath, kill_marked
from aos.drivers.hosts.values import HostKind, HostLine, HostsConfig
from aos_sdk.frames import Beat, Hello, HostFrame, OwnerFrame, Stop

_LAST_LINES_MAX: Final = 20
LAST_FRAMES_SECONDS: Final = 1.0
"""How long after a host's end its last frames are waited for, should something else still hold its socket open."""
_log = logging.getLogger(__name__)


class HostProcess:
    """A running host. `frames` gets what it sends, `ended` is called once with its exit status."""

    def __init__(
        self,
        host_id: str,
        kind: HostKind,
        *,
        frames: Callable[[HostProcess, HostFrame], None],
        ended: Callable[[HostProcess, int], None],
        log: Callable[[HostLine], None],
    ) -> None:
        self.host_id = host_id
        self.kind = kind
        self.secret = secrets.token_hex(32)
        self.ready = False
        self.alive = True
        self.retiring = False
        """Takes no more work, and ends when it has none."""
        self.ending_reason: str | None = None
        self.ending_code = ""
        """The error of the task that cost the host its life, where it used more than it may."""
        self.culprit: str | None = None
        """The task that cost the host its life, where that is known; empty where no task did."""
        self.rss_bytes = 0
        self.only_task: str | None = None
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.last_lines: deque[str] = deque(maxlen=_LAST_LINES_MAX)
        self._frames = frames
        self._ended = ended
        self._log_line = log
        self._connection: HostConnection | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._exit_code: int | None = None
        self._mark = ""
        self._outputs: list[tuple[asyncio.ReadTransport, OutputPipe]] = []

    @property
    def joined(self) -> bool:
        """Return whether the host ever joined."""
        return not self.secret

    @property
    def pid(self) -> int:
        """Return the process id, 0 before it began."""
        return 0 if self._process is None else self._process.pid

    async def begin(self, config: HostsConfig) -> None:
        """Start the process and hand it its secret; raises OSError when it cannot be started."""
        loop = asyncio.get_running_loop()
        self._mark = host_mark(config, self.host_id)
        process = self._fork(config)
        self._process = process
        descriptor = os.pidfd_open(process.pid)
        loop.add_reader(descriptor, self._reap, descriptor)
        assert process.stdin is not None
        try:
            process.stdin.write(f"{self.secret} {os.getpid()}\n".encode())
            process.stdin.close()
        except BrokenPipeError:
            _log.warning("host %s ended before it read its secret", self.host_id)
        await self._read_pipe(process.stdout, "stdout")
        await self._read_pipe(process.stderr, "stderr")

    def _fork(self, config: HostsConfig) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [
                *(config.python, "-m", "aos_sdk.host", "--socket", str(config.socket_path), "--host-id", self.host_id),
                *(f"--folder={folder}" for folder in config.python_path),
                f"--memory-bytes={config.memory_bytes_max}",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**clean_environment(config), MARK: self._mark},
            cwd=config.folder,
            process_group=0,
        )

    async def _read_pipe(self, pipe: IO[bytes] | None, stream: str) -> None:
        assert pipe is not None

        def line(text: str) -> None:
            self.last_lines.append(text)
            self._log_line(HostLine(self.host_id, self.only_task, stream, text))

        transport, output = await asyncio.get_running_loop().connect_read_pipe(lambda: OutputPipe(line), pipe)
        self._outputs.append((transport, output))

    def join(self, hello: Hello, connection: HostConnection) -> bool:
        """Take the connection of a host that knows the secret; returns whether it does. The secret works once."""
        known = bool(self.secret) and secrets.compare_digest(self.secret, hello.secret) and hello.pid == self.pid
        if known:
            self.secret = ""
            self._connection = connection
            self.ready = True
        return known

    def frame_received(self, frame: HostFrame) -> None:
        """Note a beat, pass anything else on."""
        if isinstance(frame, Beat):
            self.rss_bytes = frame.rss_bytes
        elif self.alive:
            self._frames(self, frame)

    def broken(self, reason: str) -> None:
        """Kill a host that broke the protocol."""
        self.kill(f"the host broke the protocol: {reason}")

    def send(self, frame: OwnerFrame) -> None:
        """Send one frame; raises `ProtocolError` when it is over the limit."""
        if self._connection is not None:
            self._connection.send(frame)

    def send_encoded(self, data: bytes) -> None:
        """Send bytes that are frames already."""
        if self._connection is not None:
            self._connection.write(data)

    def stop(self) -> None:
        """Ask the host to end, or kill one that has not joined yet."""
        self.ready = False
        self.culprit = self.culprit or ""
        self.ending_reason = self.ending_reason or "the host was stopped"
        if self._process is not None and self._exit_code is None:
            kill_beneath(self._process.pid, itself=False)
        if self._connection is None:
            self.kill(self.ending_reason)
        else:
            self.send(Stop())

    def kill(self, reason: str, *, culprit: str | None = None) -> None:
        """Kill the process and all that it started; `culprit` is the task that made it necessary."""
        if not self.alive:
            return
        if self._process is not None and self._exit_code is None:
            kill_beneath(self._process.pid, itself=True)
        self.ready = False
        self.ending_reason = self.ending_reason or reason
        if self.culprit is None:
            self.culprit = culprit
        self._kill_group()

    def _kill_group(self) -> None:
        if self._process is not None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def _reap(self, descriptor: int) -> None:
        """Collect the exit status; the group goes first, while the dead leader still holds its number.

        The end is told when the frames that the host sent before it have been received too.
        """
        loop = asyncio.get_running_loop()
        loop.remove_reader(descriptor)
        os.close(descriptor)
        assert self._process is not None
        self._kill_group()
        self._exit_code = self._process.wait()
        kill_marked(self._mark)
        self.ready = False
        if self._connection is None:
            self._finish()
        else:
            loop.call_later(LAST_FRAMES_SECONDS, self._finish)

    async def drain_output(self) -> None:
        """Wait until the output of an ended host is read to its end, and close what something else holds open."""
        ends = [output.ended for _, output in self._outputs]
        if ends:
            await asyncio.wait(ends, timeout=LAST_FRAMES_SECONDS)
            for transport, _ in self._outputs:
                transport.close()
            await asyncio.wait(ends)

    def connection_lost(self) -> None:
        """Note that no frame follows; a host without its socket is of no use."""
        self._connection = None
        self.ready = False
        if self._exit_code is None:
            asyncio.get_running_loop().call_later(LAST_FRAMES_SECONDS, self.kill, "the host closed its socket")
        else:
            self._finish()

    def _finish(self) -> None:
        if not self.alive:
            return
        self.alive = False
        if self._connection is not None:
            self._connection.close()
        assert self._exit_code is not None
        if not self.exited.done():
            self.exited.set_result(self._exit_code)
        self._ended(self, self._exit_code)


def host_mark(config: HostsConfig, host_id: str = "") -> str:
    """Return what marks a host and all that it starts; without an id, the beginning that all hosts of the pool share."""
    return f"{config.socket_path}#{host_id + ';' if host_id else ''}"


def clean_environment(config: HostsConfig) -> dict[str, str]:
    """Return all that a host finds in its environment.

    The seed of hashes is fixed: a function that walks a set must walk it in the same order on every pass, whatever host
    it runs in.
    """
    environment = {"PATH": config.path, "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"}
    if config.python_path:
        environment["PYTHONPATH"] = os.pathsep.join(config.python_path)
    return {**environment, **config.variables}
