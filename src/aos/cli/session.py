"""What one call of `aos` works with: its settings, its output, its connection, and the stored sign-in."""

from __future__ import annotations

import json
import os
import shlex
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from aos.cli.client import Client, Object
from aos.cli.config import CliConfig
from aos.cli.failures import CliError, ExitStatus, usage_error
from aos.cli.output import Output


@dataclass(slots=True)
class Session:
    """One call of `aos`."""

    config: CliConfig
    out: Output
    _client: Client | None = field(default=None)

    @property
    def client(self) -> Client:
        """Return the connection, made when it is first needed."""
        if self._client is None:
            stored = read_credentials(self.config.config_home).get(self.config.url, {})
            organization = self.config.organization or stored.get("organization", "")
            token = self.config.token or stored.get(token_field(organization)) or stored.get("token", "")
            self._client = Client(self.config.url, token=token, organization=organization)
        return self._client

    @property
    def signed_in(self) -> bool:
        """Say whether somebody is signed in to this server."""
        return self.client.signed_in

    def hint(self, words: str) -> str:
        """Return a command in back-ticks that works when typed next: with the organization, where one was chosen."""
        chosen = self.config.organization
        return f"`aos {words} --org {shlex.quote(chosen)}`" if chosen else f"`aos {words}`"

    def close(self) -> None:
        if self._client is not None:
            self._client.close()


def session_of(context: typer.Context) -> Session:
    """Return the session of the running command."""
    found = context.find_root().obj
    if not isinstance(found, Session):
        raise usage_error("the command was started without its settings")
    return found


def credentials_file(config_home: Path) -> Path:
    """Return where sign-ins are stored."""
    return config_home / "credentials.json"


def read_credentials(config_home: Path) -> dict[str, dict[str, str]]:
    """Return the stored sign-ins by server; none where there is no file. Refuses a file that others may read."""
    path = credentials_file(config_home)
    try:
        mode = path.stat().st_mode
        found: Any = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise usage_error(
            f"the sign-ins in `{path}` cannot be read ({error}): remove it and `aos login` again"
        ) from error
    if stat.S_IMODE(mode) & 0o077:
        raise usage_error(f"`{path}` may be read by others: `chmod 600 {path}`, or remove it and `aos login` again")
    servers = found.get("servers") if isinstance(found, dict) else None
    return {str(url): dict(each) for url, each in servers.items()} if isinstance(servers, dict) else {}


def token_field(organization: str) -> str:
    """Return under what name the token that opens one organization is stored."""
    return f"token of {organization}"


def write_credentials(config_home: Path, url: str, given: dict[str, str]) -> None:
    """Store one server's sign-in, readable by its owner alone; the file is replaced whole.

    What is stored of the same server stays where `given` does not name it: the tokens of other organizations.
    """
    known = read_credentials(config_home)
    kept = {name: text for name, text in known.get(url, {}).items() if name != "organization"}
    servers = {**known, url: {**kept, **given}}
    path = credentials_file(config_home)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}.new")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"servers": servers}, file, indent=2)
        fresh.replace(path)
    except OSError as error:
        raise usage_error(f"the sign-in cannot be stored in `{path}`: {error.strerror or error}") from error


def find_id(session: Session, path: str, key: str) -> str:
    """Return the full id that a short one ends with; names and full ids as they are.

    `last` is the newest: of approvals that waits, of runs that a person, a schedule or a hook started, where there is one.
    Raises CliError where nothing or more than one thing answers to it.
    """
    if key == "last":
        newest = _newest(session, path)
        if newest is None:
            missing = CliError("Not found", f"there is nothing in `{path}` yet", ExitStatus.NOT_FOUND)
            raise session.client.looked_elsewhere(missing)
        return str(newest["id"])
    if not 4 <= len(key) <= 12 or not set(key) <= set("0123456789abcdef"):
        return key
    found: list[Object] = session.client.items(path, {"order": "-created"}, most=400)
    ids = [str(item["id"]) for item in found if str(item["id"]).endswith(key)]
    if len(ids) > 1:
        raise usage_error(f"`{key}` is the end of {len(ids)} ids: give more of it")
    return ids[0] if ids else key


def _newest(session: Session, path: str) -> Object | None:
    """Return what `last` stands for, None where there is nothing."""
    if path == "/approvals":
        waiting = session.client.items(path, {"order": "-created", "status": "pending"}, most=1)
        if waiting:
            return waiting[0]
    if path == "/runs":
        by_itself = session.client.items(path, {"order": "-created", "top": "true"}, most=1)
        if by_itself:
            return by_itself[0]
    newest = session.client.items(path, {"order": "-created"}, most=1)
    return newest[0] if newest else None
