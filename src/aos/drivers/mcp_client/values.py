"""What the client of MCP servers is told by whoever wires it, and what its parts tell each other."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any, Final

from aos.kernel.mcp_servers import is_permitted_command

KEY_META: Final = "aos/idempotency-key"
"""The member of `_meta` that carries the key of a call: the same for every try of one act."""

MARK: Final = f"aos/{secrets.token_hex(16)}"
"""Under this member our own transport says in an error's `data` what became of a request; no server can know it."""


@dataclass(frozen=True, slots=True)
class McpConfig:
    """What programs may be started, and what one may use.

    `commands` are words that a command must begin with; none: no program is started.
    """

    commands: tuple[tuple[str, ...], ...] = ()
    path: str = "/usr/local/bin:/usr/bin:/bin"
    zone: str = ""
    """The time zone that programs are told, as TZ; empty: none."""
    memory_bytes_max: int = 1024 * 1024 * 1024
    """Memory of each process of a program; 0 is no limit."""
    offers_seconds: float = 30.0
    """For how long what a server offers is believed before it is asked again."""
    idle_seconds: float = 300.0
    """After how long without a call a session is closed."""
    backoff_seconds: float = 0.5
    """How long a server that failed is left alone at first; each further failure doubles it, up to `backoff_seconds_max`."""
    backoff_seconds_max: float = 30.0

    def permits(self, command: tuple[str, ...]) -> bool:
        """Say whether the operator permits a command."""
        return is_permitted_command(command, self.commands)


@dataclass(slots=True)
class Wire:
    """What a transport knows of its session: the keys of calls that were written, and whether the far side is gone."""

    written: set[str] = field(default_factory=set)
    ended: bool = False
    reason: str = ""


def key_in(params: Any) -> str:
    """Return the key that a request's parameters carry, empty where they carry none."""
    meta = params.get("_meta") if isinstance(params, dict) else None
    found = meta.get(KEY_META) if isinstance(meta, dict) else None
    return found if isinstance(found, str) else ""
