"""What the pool of hosts is told and what it tells: its configuration, a host's death, a line of its output."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from aos_sdk.frames import ASYNC_TASKS_MAX

LOG_LINE_BYTES_MAX: Final = 8_192
"""Longest line of a host's output that is passed on whole; a longer one comes in parts."""
TOOLS_PER_HOST_MAX: Final = 32
TOOL_GRACE_SECONDS: Final = 1.0
"""How long past its deadline a tool's host is waited for before the tool is given up."""
CANCEL_GRACE_SECONDS: Final = 1.0
"""How long past the host's own limit a cancelled pass is waited for before its host is killed."""
CANCEL_SECONDS: Final = 0.5
"""How long a cancelled pass that has its host to itself may take to end before the host is killed."""
MEMORY_LIMIT: Final = "memory-limit"
CPU_LIMIT: Final = "cpu-limit"
"""Error codes of tasks whose pass used more than it may."""
CALLS_OPEN_MAX: Final = 1_000
"""Calls of one pass being answered at once; a host that sends more broke the protocol."""


class HostKind(StrEnum):
    """What a host is for: a tool that an agent calls never waits for a host that the agent holds."""

    AGENTS = "agents"
    TOOLS = "tools"


@dataclass(frozen=True, slots=True)
class HostsConfig:
    """How many hosts to keep, and all that they are given.

    A host's environment is `path`, LANG, PYTHONHASHSEED, AGENT_HOST, PYTHONPATH from `python_path`, and `variables`; nothing is
    inherited. A limit of 0 is none.
    `socket_path` lies in a folder of the owner's alone and has at most 107 bytes.
    """

    socket_path: Path
    agent_hosts: int = 2
    tool_hosts: int = 1
    python: str = sys.executable
    python_path: tuple[str, ...] = ()
    path: str = "/usr/local/bin:/usr/bin:/bin"
    variables: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    """Working folder of the hosts; None is the owner's own."""
    async_tasks_max: int = ASYNC_TASKS_MAX
    queue_max: int = 10_000
    queue_seconds: float = 60.0
    """How long a pass or a tool may wait for a host."""
    pass_seconds: float = 600.0
    """How long one pass may take unless it is told otherwise."""
    start_seconds: float = 20.0
    cpu_seconds_max: float = 0.0
    """How much processor time a pass may use that has its host to itself."""
    memory_bytes_max: int = 0
    """How much memory a host may hold, with all that it started."""
    stopped_seconds: float = 5.0
    """How long a host that works may be stopped by a signal before it is killed."""
    recycle_tasks: int = 0
    """After how many tasks a host is replaced."""
    recycle_bytes: int = 0
    """A host that holds more than this after a task is replaced."""
    recycle_seconds: float = 0.0
    """A host that is older than this is replaced once it is idle."""


@dataclass(frozen=True, slots=True)
class HostDied:
    """The host ended before the work did. What it had sent off is answered; what it had not was not done.

    `counted` says whether this end speaks against the task: it is false where another task or the owner ended the host.
    `code` is the task's error where it used more than it may.
    """

    host_id: str
    reason: str
    exit_code: int | None
    counted: bool
    timed_out: bool = False
    code: str = ""


@dataclass(frozen=True, slots=True)
class HostLine:
    """One line that agents' code wrote; `task_id` is set where the host ran one task alone."""

    host_id: str
    task_id: str | None
    stream: str
    text: str


@dataclass(frozen=True, slots=True)
class HostState:
    """One host as seen now."""

    host_id: str
    kind: HostKind
    pid: int
    ready: bool
    busy: int
    rss_bytes: int
