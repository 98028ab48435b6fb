"""A host: one process that runs agents' functions and `python:` tools for the process that owns it.

`python -m aos_sdk.host --socket PATH --host-id ID --folder FOLDER ...`, with the secret and the owner's process id on
standard input. It is given no key and no database address. It runs one synchronous pass in its main thread, or
asynchronous passes and tools beside each other on one loop in the same thread. It dies with its owner.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

import msgspec

from aos_sdk.blocking import BlockingPass
from aos_sdk.context import AsyncContext, Context
from aos_sdk.entries import EntryError, is_asynchronous
from aos_sdk.frames import (
    EXIT_PROTOCOL,
    Call,
    Cancel,
    Ended,
    Hello,
    History,
    Loaded,
    OwnerFrame,
    ProtocolError,
    Raised,
    Recorded,
    Result,
    RunTool,
    Start,
    Stop,
    ToolEnded,
)
from aos_sdk.native import load_agent
from aos_sdk.parking import IdleSelector, ParkingPass, own_task
from aos_sdk.replay import Pass
from aos_sdk.shapes import raised, result_value
from aos_sdk.tools import ToolRunner
from aos_sdk.watch import Watch
from aos_sdk.wire import Wire

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_CHILD_SUBREAPER: Final = 36
MEMORY_SLACK_BYTES: Final = 268_435_456
"""What a host may ask for beyond its limit: memory that is asked for is not held yet, such as the stacks of threads."""


class Host:
    """The frames' meaning: what to do with each, in either colour."""

    def __init__(self, wire: Wire, folders: Sequence[str]) -> None:
        self._wire = wire
        self._folders = folders
        self._history: dict[str, list[Recorded]] = {}
        self._passes: dict[str, ParkingPass] = {}
        self._tools_running: set[asyncio.Task[None]] = set()
        self._tools: ToolRunner | None = None
        self._blocking = 0
        self._watch = Watch(wire, lambda: len(self._passes) + len(self._tools_running) + self._blocking)
        self._loop = asyncio.SelectorEventLoop(IdleSelector(self._turn))
        self._loop.set_task_factory(own_task)

    def run(self) -> None:
        """Serve the owner until it says stop or goes away."""
        self._watch.start()
        while True:
            frame = self._wire.read()
            match frame:
                case Start():
                    self._start(frame)
                case RunTool():
                    self._run_loop(frame)
                case _:
                    self._take(frame)

    def _start(self, frame: Start) -> None:
        """Run a synchronous pass to its end, or enter the loop with an asynchronous one."""
        loaded = self._load(frame)
        if loaded is None:
            return
        function, asynchronous = loaded
        if asynchronous:
            self._run_loop(frame)
        else:
            self._wire.send(Loaded(frame.task_id, asynchronous=False))
            self._run_blocking(self._with_history(frame), function)

    def _with_history(self, frame: Start) -> Start:
        ahead = self._history.pop(frame.task_id, None)
        return frame if ahead is None else msgspec.structs.replace(frame, history=[*ahead, *frame.history])

    def _load(self, frame: Start) -> tuple[Callable[..., Any], bool] | None:
        """Return the function and whether it is asynchronous; an entry that cannot be loaded ends the pass."""
        try:
            function = load_agent(frame, folders=self._folders)
        except EntryError as error:
            self._history.pop(frame.task_id, None)
            self._wire.send(Ended(frame.task_id, "raised", error=raised(error)))
            return None
        return function, is_asynchronous(function)

    def _run_blocking(self, start: Start, function: Callable[..., Any]) -> None:
        core = Pass(start, on_latch=lambda: self._watch.arm(start.task_id))
        calls = BlockingPass(core, self._wire)
        self._blocking = 1
        value, error = None, None
        try:
            value = result_value(function(Context(calls)))
        except BaseException as failure:
            error = raised(failure)
        self._blocking = 0
        self._watch.disarm(start.task_id)
        leaves_threads = calls.waiting_threads > 0
        self._end(core.ended(value, error, host_ends=leaves_threads))
        if leaves_threads:
            os._exit(0)

    def _end(self, ended: Ended) -> None:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                pass
        try:
            self._wire.send(ended)
        except ProtocolError as error:
            told = Raised("ProtocolError", str(error))
            self._wire.send(Ended(ended.task_id, "raised", error=told, host_ends=ended.host_ends))

    def _run_loop(self, first: OwnerFrame) -> None:
        """Serve on the loop until a synchronous pass arrives while nothing runs."""
        done = self._loop.create_future()

        def readable() -> None:
            frames = self._wire.read_ready()
            for position, frame in enumerate(frames):
                if not self._take_on_loop(frame):
                    self._wire.put_back(frames[position:])
                    self._loop.remove_reader(self._wire)
                    done.set_result(None)
                    return

        self._loop.call_soon(self._take_on_loop, first)
        self._loop.add_reader(self._wire, readable)
        # What came in one piece with the first frame is read already: the socket will not tell of it again.
        self._loop.call_soon(readable)
        self._loop.run_until_complete(done)

    def _take_on_loop(self, frame: OwnerFrame) -> bool:
        """Act on a frame; returns False for a synchronous pass, which the main thread must run outside the loop."""
        match frame:
            case Start():
                loaded = self._load(frame)
                if loaded is not None and not loaded[1]:
                    if self._passes or self._tools_running:
                        self._break("a synchronous task came to a host that runs others")
                    return False
                if loaded is not None:
                    self._wire.send(Loaded(frame.task_id, asynchronous=True))
                    self._begin(self._with_history(frame), loaded[0])
            case RunTool():
                self._spawn(self._run_tool(frame))
            case _:
                self._take(frame)
        return True

    def _take(self, frame: OwnerFrame) -> None:
        match frame:
            case History():
                self._history.setdefault(frame.task_id, []).extend(frame.recorded)
            case Result():
                answered = self._passes.get(frame.task_id)
                if answered is not None:
                    answered.take(frame)
            case Cancel():
                cancelled = self._passes.get(frame.task_id)
                if cancelled is not None:
                    cancelled.cancel()
            case Stop():
                os._exit(0)
            case _:
                self._break(f"a `{type(frame).__name__}` frame is out of place")

    def _begin(self, start: Start, function: Callable[..., Coroutine[Any, Any, object]]) -> None:
        core = Pass(start, asyncio.CancelledError, on_latch=lambda: self._watch.arm(start.task_id))
        parking = ParkingPass(core, self._send_call, self._loop)
        self._passes[start.task_id] = parking
        root = parking.begin(_entered(function, AsyncContext(parking)))
        root.add_done_callback(lambda done: self._ended(parking, done))

    def _send_call(self, call: Call) -> None:
        self._wire.send(call)

    def _ended(self, parking: ParkingPass, root: asyncio.Task[object]) -> None:
        task_id = parking.core.start.task_id
        del self._passes[task_id]
        self._watch.disarm(task_id)
        self._end(parking.ended(root))

    def _turn(self) -> bool:
        moved = [parking.turn() for parking in list(self._passes.values())]
        return any(moved)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tools_running.add(task)
        task.add_done_callback(self._tools_running.discard)

    async def _run_tool(self, call: RunTool) -> None:
        self._tools = self._tools or ToolRunner(self._folders)
        ended = await self._tools.run(call)
        try:
            self._wire.send(ended)
        except ProtocolError as error:
            self._wire.send(ToolEnded(call.call_id, ok=False, error=raised(error)))

    def _break(self, what: str) -> None:
        os.write(2, f"the owner broke the protocol: {what}\n".encode("utf-8", "replace"))
        os._exit(EXIT_PROTOCOL)


async def _entered(function: Callable[..., Coroutine[Any, Any, object]], context: AsyncContext) -> object:
    """Call the function inside its task, so that whatever it raises belongs to the pass, `SystemExit` included."""
    try:
        return await function(context)
    except (SystemExit, KeyboardInterrupt) as error:
        raise RuntimeError(f"the function raised {type(error).__name__}") from error


def guard_process(owner_pid: int) -> None:
    """Make this process die with its owner and be unreadable to its account's debuggers.

    It adopts what its descendants leave behind, so that whoever kills it finds all that it started.
    """
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if os.getppid() != owner_pid:
        os._exit(0)


def main() -> None:
    """Join the owner and serve it."""
    parser = argparse.ArgumentParser(prog="aos_sdk.host")
    parser.add_argument("--socket", required=True)
    parser.add_argument("--host-id", required=True)
    parser.add_argument("--folder", action="append", default=[], help="a folder of agents' code")
    parser.add_argument("--memory-bytes", type=int, default=0, help="how much memory may be asked for; 0 is no limit")
    options = parser.parse_args()
    secret, owner_pid = sys.stdin.readline().split()
    guard_process(int(owner_pid))
    if options.memory_bytes:
        asked_for = options.memory_bytes + MEMORY_SLACK_BYTES
        resource.setrlimit(resource.RLIMIT_DATA, (asked_for, asked_for))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="replace")  # type: ignore[union-attr]
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(options.socket)
    wire = Wire(connection)
    wire.send(Hello(options.host_id, secret, os.getpid()))
    Host(wire, options.folder).run()


if __name__ == "__main__":
    main()
