"""A program that speaks MCP over its standard input and output: started clean, its messages bounded, ended with its group.

- No shell; a folder of its own unless it is given one; bounds set before it begins (`launch`).
- Its environment is what `given_environment` returns: nothing of AOS's own is inherited, whatever settings there will be.
- A line over MCP_MESSAGE_BYTES_MAX, or too many that are no messages, end it: nothing is cut short.
- What it writes to its standard error goes to AOS's log, and its last lines into the error when it ends, without the secrets
  that it was given.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
from mcp.client._transport import TransportStreams
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCRequest, jsonrpc_message_adapter

from aos.drivers.mcp_client import launch
from aos.drivers.mcp_client.values import McpConfig, Wire, key_in
from aos.kernel.errors import Unavailable
from aos.kernel.limits import MCP_MESSAGE_BYTES_MAX
from aos.kernel.mcp_servers import McpTarget
from aos.kernel.scrubbing import scrub, spellings

GRACE_SECONDS: Final = 1.0
"""How long a program may take to end once its standard input is closed, and again once it is asked to."""
BAD_LINES_MAX: Final = 100
ENDED: Final = "its program ended"
_SAID_BYTES_MAX: Final = 4_000
LAST_WORDS_BYTES_MAX: Final = 16_000
"""How much of what a program wrote to its standard error is kept until it ends."""
LAST_LINES: Final = 5
LAST_CHARACTERS: Final = 600
"""How much of that an error repeats."""
LAST_WORDS_SECONDS: Final = 0.5
"""How long its standard error is still read once its output has ended."""

log = logging.getLogger(__name__)


@asynccontextmanager
async def program(target: McpTarget, config: McpConfig, wire: Wire) -> AsyncIterator[TransportStreams]:
    """Run a server's program and carry messages to and from it; raise Unavailable where it may not or cannot be started."""
    if not config.permits(target.command):
        told = "the operator does not permit it: it must stand in AOS_MCP_COMMANDS"
        raise Unavailable(f"the command `{' '.join(target.command)[:200]}` of `{target.name}` is not run: {told}")
    own = tempfile.mkdtemp(prefix="aos-mcp-")
    try:
        process = await _start(target, config, own)
        try:
            async with _carried(process, target, wire) as streams:
                yield streams
        finally:
            with anyio.CancelScope(shield=True):
                await _end(process)
    finally:
        wire.ended = True
        shutil.rmtree(own, ignore_errors=True)


def given_environment(target: McpTarget, config: McpConfig, *, own: str) -> dict[str, str]:
    """Return all that a program finds in its environment: five variables, and those that its registration names.

    `own` is a folder of its own, removed at its end.
    """
    zone = {"TZ": config.zone} if config.zone else {}
    usual = {"PATH": config.path, "LANG": "C.UTF-8", "HOME": target.folder or own, "TMPDIR": own}
    return {**usual, **zone, **target.env}


async def _start(target: McpTarget, config: McpConfig, own: str) -> asyncio.subprocess.Process:
    bounds = (sys.executable, "-I", "-S", str(Path(launch.__file__)), str(os.getpid()), str(config.memory_bytes_max))
    try:
        return await asyncio.create_subprocess_exec(
            *bounds,
            *target.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=given_environment(target, config, own=own),
            cwd=target.folder or own,
            start_new_session=True,
            limit=MCP_MESSAGE_BYTES_MAX,
        )
    except OSError as error:
        raise Unavailable(f"the program of `{target.name}` cannot be started: {error.strerror}") from error


@asynccontextmanager
async def _carried(
    process: asyncio.subprocess.Process, target: McpTarget, wire: Wire
) -> AsyncIterator[TransportStreams]:
    """Carry messages while the block lasts; at the program's end the session sees its stream end."""
    to_session, from_server = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    to_server, from_session = anyio.create_memory_object_stream[SessionMessage](0)
    last, silent = _LastWords(spellings(target.env.values())), anyio.Event()
    async with anyio.create_task_group() as tasks:

        async def read() -> None:
            async with to_session:
                wire.reason = await _read(process, to_session)
                if wire.reason == ENDED:
                    wire.reason = await _how_it_ended(process, last, silent)
            wire.ended = True

        async def listen() -> None:
            await _hear(process, target, last)
            silent.set()

        async def write() -> None:
            async with from_session:
                await _write(process, from_session, wire)
            await to_session.aclose()

        tasks.start_soon(read)
        tasks.start_soon(write)
        tasks.start_soon(listen)
        try:
            yield from_server, to_server
        finally:
            from_server.close()
            to_server.close()
            tasks.cancel_scope.cancel()


async def _read(
    process: asyncio.subprocess.Process, to_session: anyio.abc.ObjectSendStream[SessionMessage | Exception]
) -> str:
    """Hand on each line as a message until there is no more; return why that is."""
    assert process.stdout is not None
    bad = 0
    while True:
        try:
            line = await process.stdout.readuntil(b"\n")
        except asyncio.IncompleteReadError:
            return ENDED
        except (asyncio.LimitOverrunError, ValueError):
            _kill(process)
            return f"it sent a message of more than {MCP_MESSAGE_BYTES_MAX} bytes"
        except OSError as error:
            return f"its output cannot be read: {error.strerror}"
        try:
            message = SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
        except ValueError:
            bad += 1
            if bad > BAD_LINES_MAX:
                _kill(process)
                return f"more than {BAD_LINES_MAX} lines of its output were no messages"
            continue
        try:
            await to_session.send(message)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            return "the session was closed"


async def _write(
    process: asyncio.subprocess.Process, from_session: anyio.abc.ObjectReceiveStream[SessionMessage], wire: Wire
) -> None:
    assert process.stdin is not None
    try:
        async for each in from_session:
            line = each.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
            key = key_in(each.message.params) if isinstance(each.message, JSONRPCRequest) else ""
            if process.stdin.is_closing():
                return
            if key:
                wire.written.add(key)
            process.stdin.write(line)
            await process.stdin.drain()
    except (OSError, RuntimeError):
        return  # it has closed its input: the session sees the end of its output


class _LastWords:
    """The end of what a program wrote to its standard error."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = secrets
        self._bytes = b""

    def add(self, said: bytes) -> str:
        """Take in a piece and return it without the secrets that the program was given."""
        self._bytes = (self._bytes + said)[-LAST_WORDS_BYTES_MAX:]
        return scrub(said.decode("utf-8", "replace"), self._secrets)

    def told(self) -> str:
        """Return the last lines, without secrets and without what acts on a terminal; what was cut at its beginning is left out."""
        kept = self._bytes if len(self._bytes) < LAST_WORDS_BYTES_MAX else self._bytes.partition(b"\n")[2]
        text = scrub(kept.decode("utf-8", "replace"), self._secrets)
        lines = ["".join(each if each.isprintable() else " " for each in line).strip() for line in text.splitlines()]
        return " | ".join([line for line in lines if line][-LAST_LINES:])[-LAST_CHARACTERS:]


async def _how_it_ended(process: asyncio.subprocess.Process, last: _LastWords, silent: anyio.Event) -> str:
    """Say with which status the program ended, and what it said last."""
    with anyio.move_on_after(LAST_WORDS_SECONDS):
        await silent.wait()
    await _ended_within(process, LAST_WORDS_SECONDS)
    status = process.returncode
    how = "" if status is None else f" with status {status}" if status >= 0 else f" by the signal {-status}"
    said = last.told()
    return f"{ENDED}{how}" + (f"; it said last: {said}" if said else "")


async def _hear(process: asyncio.subprocess.Process, target: McpTarget, last: _LastWords) -> None:
    """Log what the program says on its standard error, a piece at a time, and keep the end of it."""
    assert process.stderr is not None
    with contextlib.suppress(OSError):
        while said := await process.stderr.read(_SAID_BYTES_MAX):
            log.debug("the MCP server said: %s", last.add(said).rstrip(), extra={"mcp_server": target.name})


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close its input, ask it to end, and kill its whole group."""
    assert process.stdin is not None
    with contextlib.suppress(OSError, RuntimeError):
        process.stdin.close()
    if not await _ended_within(process, GRACE_SECONDS):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGTERM)
        await _ended_within(process, GRACE_SECONDS)
    _kill(process)
    await _ended_within(process, GRACE_SECONDS)
    # Whatever it started may hold its pipes open: they are closed here.
    process._transport.close()  # type: ignore[attr-defined]


async def _ended_within(process: asyncio.subprocess.Process, seconds: float) -> bool:
    """Say whether the process itself has ended; its pipes may be held open by what it started."""
    clock = asyncio.get_running_loop().time
    until = clock() + seconds
    while process.returncode is None and clock() < until:  # noqa: ASYNC110 (`wait` waits for the pipes too)
        await asyncio.sleep(0.01)
    return process.returncode is not None


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
