"""The Work protocol: the frames that pass between a host of agents' code and the process that owns it.

A frame on the wire is a 4-byte big-endian length and a msgpack map whose `type` names the class. One side never sends a
frame larger than `FRAME_BYTES_MAX` and never reads one; a longer history goes ahead of its `Start` in `History` frames.
Fields are only ever added, with defaults, so that an older host can serve a newer owner.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Final, Literal, TypeAlias

import msgspec

Json: TypeAlias = Any
"""A user's JSON, opaque here: None, bool, int, float, str, list or dict with text keys."""

PROTOCOL: Final = 1
FRAME_BYTES_MAX: Final = 16 * 1024 * 1024
"""Largest frame either side sends or reads."""
HISTORY_BYTES_MAX: Final = 4 * 1024 * 1024
"""Roughly how much history one `History` frame carries."""
ARGUMENTS_BYTES_MAX: Final = 1_000_000
"""Largest canonical arguments of one call and largest recorded value of one step."""
KEY_LENGTH_MAX: Final = 200
CALLS_IN_FLIGHT_MAX: Final = 64
"""Calls of one pass that a host has on the wire at once; more wait in the host."""
ASYNC_TASKS_MAX: Final = 32
"""Asynchronous tasks of one agent version that share a host."""
PASS_END_SECONDS: Final = 5.0
"""How long a pass may go on after the signal to suspend."""
EXIT_OVERRAN: Final = 75
"""A host's exit status when a pass did not end within `PASS_END_SECONDS` of the signal."""
EXIT_PROTOCOL: Final = 76
"""A host's exit status when its owner broke this protocol."""
TRIES_ANY: Final = -1
"""`Recorded.tries` of an outcome kept from an earlier attempt: it matches by key alone."""

_LENGTH: Final = struct.Struct(">I")

State: TypeAlias = Literal["performed", "failed", "refused", "unknown"]
CallKind: TypeAlias = Literal[
    "tool",
    "spawn",
    "children",
    "report",
    "step",
    "timer",
    "signal",
    "kpis",
    "complete",
    "reach",
    "ask",
    "checkpoint",
    "spans",
]
CHECKPOINT_BYTES_MAX: Final = 4 * 1024 * 1024
"""Largest checkpoint of a graph, and largest piece of what its nodes wrote since."""


class ProtocolError(Exception):
    """What arrived is no frame of this protocol, or a frame is over its limit."""


class CallError(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a call was not performed: a problem's slug, title and detail, and what a refusal names."""

    slug: str
    title: str = ""
    detail: str = ""
    reasons: list[str] = []
    rule: str | None = None
    approval_id: str | None = None
    comment: str = ""
    """What the person said who denied it."""
    suggested: Json = None
    """The arguments to which that person would agree."""


class Raised(msgspec.Struct, frozen=True, omit_defaults=True):
    """An exception of the author's code, as text: the class never crosses the wire.

    `where` is the last line of the author's own code that it came through, `file.py:12`; empty where there is none.
    """

    type: str
    message: str
    traceback: str = ""
    where: str = ""
    code: str = ""
    """The task's error, where the function ended by `AgentStopped`; its owner knows which there are."""


class Recorded(msgspec.Struct, frozen=True, omit_defaults=True):
    """One concluded call of this task. `seq` orders the recording; `tries` is `TRIES_ANY` for an earlier attempt's.

    Of a `step` the value is the host's own envelope, given back exactly as its `Call.arguments` held it.
    """

    seq: int
    key: str
    tries: int
    kind: str
    state: State
    value: Json = None
    error: CallError | None = None


class PassContext(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the author's function may know of its task. `clock` is RFC 3339, None unless the run carries its own."""

    run_id: str
    agent: str
    agent_version: int
    run_name: str = ""
    attempt: int = 1
    goal: str = ""
    objectives: list[Json] = []
    labels: dict[str, str] = {}
    clock: str | None = None
    generation: int = 0
    """How often the task has gone on with a fresh history."""
    thread: str = ""
    """The run's thread, else the task's id: under what a graph's checkpoints are kept."""
    tools: list[str] = []
    """Of a graph's agent: the registered tools that its lists name."""


class Start(msgspec.Struct, frozen=True, omit_defaults=True, tag=True):
    """Begin a pass: run `entry` (`module:function`) from its top. `History` frames of the task came before.

    `runtime` says what the entry names: a function, or a graph of LangGraph's that goes on at its last checkpoint.
    """

    task_id: str
    token: str
    entry: str
    context: PassContext
    input: Json = None
    history: list[Recorded] = []
    runtime: str = "python"


class History(msgspec.Struct, frozen=True, tag=True):
    """A part of the history of a pass whose `Start` follows."""

    task_id: str
    recorded: list[Recorded]


class Result(msgspec.Struct, frozen=True, omit_defaults=True, tag=True):
    """What came of a `Call`. `seq` is the place of its record in the task's history; a waiting call has none."""

    task_id: str
    call_id: int
    state: Literal["performed", "failed", "refused", "unknown", "waiting"]
    value: Json = None
    error: CallError | None = None
    seq: int = 0


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """End the pass of a task: the owner no longer holds it."""

    task_id: str


class RunTool(msgspec.Struct, frozen=True, omit_defaults=True, tag=True):
    """Run a `python:` tool. The key is handed over only to a function that declares `idempotency_key`."""

    call_id: int
    entry: str
    arguments: dict[str, Json]
    deadline_seconds: float
    idempotency_key: str | None = None


class Stop(msgspec.Struct, frozen=True, tag=True):
    """End the host."""


class Hello(msgspec.Struct, frozen=True, tag=True):
    """A host's first frame; the secret came on its standard input, so no other process can join."""

    host_id: str
    secret: str
    pid: int
    protocol: int = PROTOCOL


class Loaded(msgspec.Struct, frozen=True, tag=True):
    """The entry of a pass is imported; of an asynchronous one the host takes more tasks at the same time."""

    task_id: str
    asynchronous: bool


class Call(msgspec.Struct, frozen=True, omit_defaults=True, tag=True):
    """One call of the author's function that no record answers.

    `key` and `tries` say which call of the task it is; the owner performs a key at most once. The arguments of a `step`
    are the envelope to store as its value, and `options["state"]`, `performed` or `failed`, is the state to record:
    its function has already run.
    """

    task_id: str
    token: str
    call_id: int
    kind: CallKind
    name: str
    arguments: dict[str, Json]
    key: str
    tries: int
    options: dict[str, Json] = {}


class Ended(msgspec.Struct, frozen=True, omit_defaults=True, tag=True):
    """The pass is over. `reached` lists every (key, tries) it came to, those inside recorded steps included.

    `cancelled` answers a `Cancel` or a stale claim; with `continued` the value is the input of the next generation. `waiting_on` holds the keys of calls that were waiting. With
    `host_ends` the host takes no more work: the function left threads behind that still wait in a call.
    """

    task_id: str
    outcome: Literal["returned", "raised", "suspended", "cancelled", "continued"]
    value: Json = None
    error: Raised | None = None
    reached: list[tuple[str, int]] = []
    waiting_on: list[str] = []
    host_ends: bool = False


class Overran(msgspec.Struct, frozen=True, tag=True):
    """This pass did not end in time after the signal; the host ends with it."""

    task_id: str


class ToolEnded(msgspec.Struct, frozen=True, omit_defaults=True, tag=True):
    """What a tool returned or raised.

    `refused` is set when the function was never entered, `timed_out` when it was cut short at its deadline.
    """

    call_id: int
    ok: bool
    value: Json = None
    error: Raised | None = None
    refused: bool = False
    timed_out: bool = False


class Beat(msgspec.Struct, frozen=True, tag=True):
    """The host lives: how many passes and tools it runs, and its resident memory."""

    busy: int
    rss_bytes: int


OwnerFrame: TypeAlias = Start | History | Result | Cancel | RunTool | Stop
HostFrame: TypeAlias = Hello | Loaded | Call | Ended | Overran | ToolEnded | Beat

_encoder: Final = msgspec.msgpack.Encoder()
_owner_decoder: Final[msgspec.msgpack.Decoder[OwnerFrame]] = msgspec.msgpack.Decoder(OwnerFrame)
_host_decoder: Final[msgspec.msgpack.Decoder[HostFrame]] = msgspec.msgpack.Decoder(HostFrame)


def encode_frame(frame: OwnerFrame | HostFrame) -> bytes:
    """Return the frame as it goes on the wire; raises `ProtocolError` when it is larger than `FRAME_BYTES_MAX`."""
    payload = _encoder.encode(frame)
    if len(payload) > FRAME_BYTES_MAX:
        raise ProtocolError(
            f"a `{type(frame).__name__}` frame of {len(payload)} bytes is over the limit of {FRAME_BYTES_MAX}"
        )
    return _LENGTH.pack(len(payload)) + payload


def encoded_size(value: object) -> int:
    """Return how many bytes `value` takes inside a frame."""
    return len(_encoder.encode(value))


def decode_owner_frame(payload: bytes) -> OwnerFrame:
    """Read what an owner sent; raises `ProtocolError` when it is no frame an owner sends."""
    try:
        return _owner_decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"not a frame of an owner: {error}") from error


def decode_host_frame(payload: bytes) -> HostFrame:
    """Read what a host sent; raises `ProtocolError` when it is no frame a host sends."""
    try:
        return _host_decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"not a frame of a host: {error}") from error


class FrameBuffer:
    """Cuts a stream of bytes into payloads; holds at most one frame and what arrived with it."""

    __slots__ = ("_bytes",)

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Add `data` and yield each whole payload; raises `ProtocolError` at a length over the limit, unread."""
        self._bytes += data
        start = 0
        try:
            while len(self._bytes) - start >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(self._bytes, start)
                if length > FRAME_BYTES_MAX:
                    raise ProtocolError(f"a frame of {length} bytes is over the limit of {FRAME_BYTES_MAX}")
                end = start + _LENGTH.size + length
                if len(self._bytes) < end:
                    return
                payload = bytes(self._bytes[start + _LENGTH.size : end])
                start = end
                yield payload
        finally:
            del self._bytes[:start]


def split_history(start: Start) -> Iterator[History | Start]:
    """Yield the frames that carry `start`: as many `History` frames as its history needs, then the `Start`.

    Raises `ProtocolError` when a single record does not fit a frame.
    """
    part: list[Recorded] = []
    size = 0
    for recorded in start.history:
        grown = encoded_size(recorded)
        if part and size + grown > HISTORY_BYTES_MAX:
            yield History(start.task_id, part)
            part, size = [], 0
        part.append(recorded)
        size += grown
    yield msgspec.structs.replace(start, history=part)
