"""What the command line is given by whoever starts it: where the server is, who asks, and the outside things it may use.

The command line reads no environment, clock or key of its own: `boot` builds this value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

DEFAULT_URL = "http://127.0.0.1:8470"


@dataclass(frozen=True, slots=True)
class LocalEntries:
    """What looks at the functions that a manifest names, where agents' code lies on this machine.

    `url` is the server whose hosts use that code. `problems` returns why entries cannot be loaded, by entry.
    """

    url: str
    problems: Callable[[Sequence[str]], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class CliConfig:
    """The settings of one call of `aos`.

    `token` empty means the one stored by `aos login` for this server. `verify` checks an Ed25519 signature: public key,
    message, signature. `open_page` shows an address in the person's browser. `program` is what the person types for `aos`.
    """

    config_home: Path
    now: Callable[[], datetime]
    verify: Callable[[bytes, bytes, bytes], bool]
    open_page: Callable[[str], bool]
    url: str = DEFAULT_URL
    token: str = field(default="", repr=False)
    organization: str = ""
    json: bool = False
    program: str = "aos"
    entries: LocalEntries | None = None
    sign: Callable[[str, Mapping[str, object]], str] | None = None
    """Signs claims as a JSON Web Token with a private key as text (JWK or PEM); raises ValueError for another."""
