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
CALLS_OPEN_MAX: Final = 1_000
"""Calls of one pass being answered at once; a host that sends more broke the protocol."""


class HostKind(StrEnum):
    """What a host is for: a tool that an agent calls never waits for a host that the agent holds."""

    AGENTS = "agents"
    TOOLS = "tools"


@dataclass(frozen=True, slots=True)
class HostsConfig:
    """How many hosts to keep, and all that they are given.

    A host's environment is `path`, LANG, PYTHONHASHSEED, PYTHONPATH from `python_path`, and `variables`; nothing is inherited.
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


@dataclass(frozen=True, slots=True)
class HostDied:
    """The host ended before the work did. What it had sent off is answered; what it had not was not done.

    `counted` says whether this end speaks against the task: it is false where another task or the owner ended the host.
    """

    host_id: str
    reason: str
    exit_code: int | None
    counted: bool
    timed_out: bool = False


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
