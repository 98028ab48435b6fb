"""The passwords of the database roles, random, made on first use and kept in one private file."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from aos.boot.files import read_private, write_private
from aos.kernel.errors import Misconfigured
from aos.kernel.misfits import misfit_text

_PASSWORD_BYTES = 24


@dataclass(frozen=True, slots=True)
class Passwords:
    """`owner` is used for the embedded Postgres alone."""

    owner: str = field(repr=False)
    app: str = field(repr=False)
    machine: str = field(repr=False)


def load_passwords(path: Path) -> Passwords:
    """Return the passwords of the file, made where it is missing. Raises Misconfigured for a file that is no such thing."""
    content = read_private(path)
    if content is None:
        made = Passwords(*(secrets.token_urlsafe(_PASSWORD_BYTES) for _ in range(3)))
        write_private(path, msgspec.json.encode(made) + b"\n")
        return made
    try:
        return msgspec.json.decode(content, type=Passwords)
    except msgspec.MsgspecError as error:
        raise Misconfigured(
            f"`{path}` holds no passwords of AOS ({misfit_text(error)}): restore it, or move it away"
        ) from error
