"""Every setting of AOS, declared once: its name, type, default, meaning and unit; read into one frozen value.

The environment is read here and nowhere else. A setting's name is `AOS_` and its field's name in capitals. A value that
does not parse is Misconfigured and names its setting; a name that is no setting is a warning with the closest one.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import shlex
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from aos.kernel.errors import Misconfigured
from aos.kernel.private_hosts import read_private_hosts

PREFIX: Final = "AOS_"
_META: Final = "setting"
_YES: Final = frozenset({"1", "true", "yes", "on"})
_NO: Final = frozenset({"0", "false", "no", "off"})
_LEVELS: Final = ("debug", "info", "warning", "error")
_FORMATS: Final = ("json", "text")
_ENGINES: Final = ("postgres", "celery")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as it is documented and parsed; `shown_default` stands where the default is worked out."""

    name: str
    kind: str
    meaning: str
    default: object
    parse: Callable[[str], object]
    unit: str = ""
    secret: bool = False
    shown_default: str = ""


@dataclass(frozen=True, slots=True)
class _Says:
    kind: str
    parse: Callable[[str], object]
    meaning: str
    unit: str = ""
    secret: bool = False
    shown_default: str = ""


def _says(kind: str, parse: Callable[[str], object], meaning: str, **more: Any) -> dict[str, _Says]:
    return {_META: _Says(kind, parse, meaning, **more)}


def _text(text: str) -> str:
    return text


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _paths(text: str) -> tuple[Path, ...]:
    return tuple(_path(part) for part in text.split(os.pathsep) if part)


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _urls(text: str) -> tuple[str, ...]:
    found = tuple(part.rstrip("/") for part in _names(text))
    for each in found:
        parts = urlsplit(each)
        if parts.scheme not in ("http", "https") or each != f"{parts.scheme}://{parts.netloc}" or "@" in each:
            raise ValueError(f"`{each[:80]}` must be like `https://aos.example.com`, without a path")
    return found


def _private_hosts(text: str) -> tuple[str, ...]:
    found = _names(text)
    read_private_hosts(found)
    return found


def _commands(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(words for part in text.split(",") if (words := tuple(shlex.split(part))))


def _flag(text: str) -> bool:
    if text.lower() not in _YES | _NO:
        raise ValueError("say `true` or `false`")
    return text.lower() in _YES


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
            raise ValueError(f"give a whole number from {low} to {high}")
        return int(text)

    return parse


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"give one of {', '.join(words)}")
        return text.lower()

    return parse


@dataclass(frozen=True, slots=True)
class Config:
    """What the operator decided; everything else follows from it."""

    # --- where things lie
    home: Path | None = field(
        default=None,
        metadata=_says(
            "path", _path, "Private folder of this installation: state, passwords, logs, embedded Postgres.",
            shown_default="a folder of the installation's own below AOS_DATA_HOME; as root below `/var/lib/aos`",
        ),
    )  # fmt: skip
    data_home: Path | None = field(
        default=None,
        metadata=_says(
            "path", _path, "Folder below which private folders are made; not used by root.",
            shown_default="`$XDG_DATA_HOME`, else `~/.local/share`",
        ),
    )  # fmt: skip
    kek_file: Path | None = field(
        default=None,
        metadata=_says(
            "path", _path, "File with the key-encryption key; made on first use. Back it up apart from the database.",
            shown_default="`key-encryption-key` in the private folder",
        ),
    )  # fmt: skip
    password_file: Path | None = field(
        default=None,
        metadata=_says(
            "path", _path, "File with the passwords of the database roles; made on first use. Machines that share a "
            "database share this file and the key-encryption key.",
            shown_default="`passwords.json` in the private folder",
        ),
    )  # fmt: skip
    # --- the database
    database_url: str | None = field(
        default=None,
        repr=False,
        metadata=_says(
            "text", _text, "Postgres to use (`postgresql://login:password@host/database`); the login owns the database "
            "and is used by migrations and boot alone.",
            secret=True, shown_default="an embedded Postgres of the installation's own",
        ),
    )  # fmt: skip
    postgres_port: int | None = field(
        default=None,
        metadata=_says(
            "number", _whole(1, 65_535), "Port of the embedded Postgres, on the loopback address.",
            shown_default="the one of the last start, else a free one",
        ),
    )  # fmt: skip
    # --- what is served
    host: str = field(
        default="127.0.0.1",
        metadata=_says("address", _text, "Address to listen on. The default is reached from this machine alone."),
    )
    port: int = field(
        default=8470, metadata=_says("number", _whole(1, 65_535), "Port of REST, the agents' doors and the console.")
    )
    grpc_port: int | None = field(
        default=None,
        metadata=_says(
            "number", _whole(0, 65_535), "Port of gRPC, at AOS_HOST; 0 serves none.", shown_default="the one after AOS_PORT",
        ),
    )  # fmt: skip
    grpc_cert: Path | None = field(
        default=None,
        metadata=_says(
            "path", _path, "File with gRPC's certificate and its chain, PEM: with it gRPC speaks TLS alone.",
            shown_default="none: gRPC in the clear",
        ),
    )  # fmt: skip
    grpc_key: Path | None = field(
        default=None,
        metadata=_says("path", _path, "File with the private key of that certificate, PEM.", shown_default="none"),
    )
    grpc_client_ca: Path | None = field(
        default=None,
        metadata=_says(
            "path", _path, "File with the authorities, PEM, one of which must have signed the certificate of every client "
            "of gRPC (mutual TLS).", shown_default="none: clients show no certificate",
        ),
    )  # fmt: skip
    data_planes: int = field(
        default_factory=lambda: max(1, min(8, (os.cpu_count() or 1) - 1)),
        metadata=_says(
            "number", _whole(1, 64), "Processes that serve the agents' doors, each on its own share of the connections.",
            shown_default="one for each core but one, at most 8",
        ),
    )  # fmt: skip
    public_url: tuple[str, ...] = field(
        default=(),
        metadata=_says(
            "addresses", _urls, "Addresses under which clients reach AOS where they are not those it listens on (a name, a "
            "proxy, TLS), with a comma between; the first is the issuer of access tokens.",
            shown_default="this machine's own, at AOS_PORT",
        ),
    )  # fmt: skip
    private_hosts: tuple[str, ...] = field(
        default=(),
        metadata=_says(
            "hosts", _private_hosts, "What AOS may reach for organizations though its address is not public, with a comma "
            "between: networks (`10.2.0.0/16`), addresses and hosts, with or without a port (`db.internal:5432`), or `none`. "
            "An organization must list the host too, by its own name.",
            shown_default="this machine (`127.0.0.0/8,::1`) where AOS and its database are reached from it alone, else `none`",
        ),
    )  # fmt: skip
    # --- the work
    workers: int = field(
        default=1, metadata=_says("number", _whole(0, 64), "Worker processes that run tasks and the background duties.")
    )
    hosts: int = field(
        default=2, metadata=_says("number", _whole(0, 64), "Host processes a worker keeps for agents' code.")
    )
    tool_hosts: int = field(
        default=1, metadata=_says("number", _whole(0, 64), "Host processes a worker keeps for `python:` tools.")
    )
    host_memory_mb: int = field(
        default=2_048,
        metadata=_says(
            "number", _whole(0, 1_048_576), "Memory that a host may hold with all that it started; 0 is no limit.",
            unit="MB",
        ),
    )  # fmt: skip
    host_keep_mb: int = field(
        default=512,
        metadata=_says(
            "number", _whole(0, 1_048_576), "A host that holds more than this after a task is replaced; 0 keeps it.",
            unit="MB",
        ),
    )  # fmt: skip
    host_tasks: int = field(
        default=1_000,
        metadata=_says("number", _whole(0, 1_000_000), "After how many tasks a host is replaced; 0 keeps it."),
    )
    host_age_seconds: int = field(
        default=3_600,
        metadata=_says(
            "number", _whole(0, 31_536_000), "A host that is older is replaced once it is idle; 0 keeps it.",
            unit="seconds",
        ),
    )  # fmt: skip
    pass_seconds: int = field(
        default=600,
        metadata=_says(
            "number", _whole(1, 604_800), "How long one pass of an agent's function may take where its task does not say; "
            "what is waited for does not count.",
            unit="seconds",
        ),
    )  # fmt: skip
    pass_cpu_seconds: int = field(
        default=0,
        metadata=_says(
            "number", _whole(0, 604_800), "Processor time that a pass of a synchronous function may use; 0 is no limit.",
            unit="seconds",
        ),
    )  # fmt: skip
    tasks_at_once: int = field(
        default=200, metadata=_says("number", _whole(1, 10_000), "Tasks that a worker process holds at once, at most.")
    )
    engine: str = field(
        default="postgres",
        metadata=_says(
            "word", _one_of(*_ENGINES), "How workers learn of tasks: `postgres`, which needs nothing else, or `celery`, by "
            "messages of a broker (`pip install aos[celery]`). All workers of a database have the same.",
        ),
    )  # fmt: skip
    redis_url: str | None = field(
        default=None,
        repr=False,
        metadata=_says(
            "text", _text, "Redis to use where something asks for one (`redis://login:password@host:port/database`).",
            secret=True, shown_default="none",
        ),
    )  # fmt: skip
    celery_broker: str | None = field(
        default=None,
        repr=False,
        metadata=_says(
            "text", _text, "Broker of the engine `celery`: a URL of Redis or of RabbitMQ (`amqp://...`).",
            secret=True, shown_default="AOS_REDIS_URL",
        ),
    )  # fmt: skip
    celery_queue: str = field(
        default="aos",
        metadata=_says(
            "word", _text, "Queue of the engine `celery`, and what its keys in Redis begin with: one for each database."
        ),
    )
    celery_visibility_seconds: int = field(
        default=60,
        metadata=_says(
            "number", _whole(1, 86_400), "How long Redis waits for a message to be acknowledged before it gives it to "
            "another worker. A task may take longer: its message is acknowledged when it is claimed.", unit="seconds",
        ),
    )  # fmt: skip
    agent_path: tuple[Path, ...] = field(
        default=(),
        metadata=_says(
            "paths", _paths, "Folders from which hosts import agents' code, with a colon between.",
            shown_default="the folder in which AOS is started",
        ),
    )  # fmt: skip
    agent_env: tuple[str, ...] = field(
        default=(),
        metadata=_says(
            "names", _names, "Names of variables handed on to agents' code, with a comma between; nothing else is.",
            shown_default="none",
        ),
    )  # fmt: skip
    mcp_commands: tuple[tuple[str, ...], ...] = field(
        default=(),
        metadata=_says(
            "commands", _commands, "Programs that MCP servers may be started by, with a comma between: a program's name, or "
            "its path, and the arguments that a command must begin with, as `npx -y @modelcontextprotocol/server-memory`. "
            "Whoever may register an MCP server may give further arguments: name no interpreter alone.",
            shown_default="none",
        ),
    )  # fmt: skip
    mcp_memory_mb: int = field(
        default=1_024,
        metadata=_says(
            "number", _whole(0, 1_048_576), "Memory that each process of an MCP server's program may hold; 0 is no limit.",
            unit="MB",
        ),
    )  # fmt: skip
    allow_run_clock: bool = field(
        default=False,
        metadata=_says("flag", _flag, "New organizations may give a run a clock of its own (rehearsals, examples)."),
    )
    allow_inline: bool = field(
        default=False,
        metadata=_says("flag", _flag, "Agents that say `inline` run in the worker itself, with all that it may reach."),
    )
    local_model: bool = field(
        default=True,
        metadata=_says(
            "flag",
            _flag,
            "Start the small model of this machine's own, where it is installed (`pip install aos[local]`).",
        ),
    )
    # --- what is said
    log_level: str = field(
        default="info",
        metadata=_says("word", _one_of(*_LEVELS), f"Least level that is logged: {', '.join(_LEVELS)}."),
    )
    log_format: str = field(
        default="json", metadata=_says("word", _one_of(*_FORMATS), f"Form of log lines: {', '.join(_FORMATS)}.")
    )
    debug: bool = field(default=False, metadata=_says("flag", _flag, "Show a traceback beside an error."))
    # --- the command line
    url: str | None = field(
        default=None,
        metadata=_says(
            "address", _text, "AOS that the command line talks to.", shown_default="the one on this machine",
        ),
    )  # fmt: skip
    token: str | None = field(
        default=None,
        repr=False,
        metadata=_says(
            "text", _text, "Token that the command line signs in with.", secret=True,
            shown_default="what `aos login` stored",
        ),
    )  # fmt: skip
    organization: str | None = field(
        default=None,
        metadata=_says(
            "text", _text, "Organization that the command line works in.", shown_default="the newest one",
        ),
    )  # fmt: skip


def settings_table() -> tuple[Setting, ...]:
    """Return every setting, in the order in which the reference lists them."""
    found = []
    for each in fields(Config):
        says: _Says = each.metadata[_META]
        found.append(
            Setting(
                PREFIX + each.name.upper(), says.kind, says.meaning, each.default, says.parse,
                unit=says.unit, secret=says.secret, shown_default=says.shown_default or f"`{show(each.default)}`",
            )
        )  # fmt: skip
    return tuple(found)


def read_config(environment: Mapping[str, str]) -> Config:
    """Return the settings of an environment; an empty value counts as unset. Raises Misconfigured, naming the setting."""
    values: dict[str, Any] = {}
    for setting in settings_table():
        text = environment.get(setting.name, "").strip()
        if not text:
            continue
        try:
            values[setting.name.removeprefix(PREFIX).lower()] = setting.parse(text)
        except ValueError as error:
            said = "the value given" if setting.secret else f"`{text}`"
            raise Misconfigured(f"{setting.name} cannot be {said}: {error}") from None
    return Config(**values)


_OF_AGENTS: Final = frozenset({"AOS_AGENT", "AOS_API_KEY"})
"""What `aos agents env` exports for an agent's own process; no settings of AOS."""


def unknown_settings(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return a warning for each variable that begins like a setting and is none, with the closest name."""
    known = [setting.name for setting in settings_table()]
    found = []
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known and name not in _OF_AGENTS:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f": did you mean {close[0]}?" if close else ": `aos config --all` lists the settings"
            found.append(f"{name} is no setting of AOS{hint}")
    return tuple(found)


def settings_of(config: Config) -> dict[str, str]:
    """Return every setting as it is written; of one that is secret, a digest that tells whether it changed."""
    found = {}
    for setting in settings_table():
        text = show(getattr(config, setting.name.removeprefix(PREFIX).lower()))
        found[setting.name] = hashlib.sha256(text.encode()).hexdigest()[:16] if setting.secret and text else text
    return found


def changed_settings(running: Mapping[str, str], now: Config, *, unsaid: Collection[str] = ()) -> tuple[str, ...]:
    """Return a line for each setting of what runs that is another now: it counts at the next start. `unsaid` are left out."""
    secret = {setting.name for setting in settings_table() if setting.secret}
    lines = []
    for name, text in settings_of(now).items():
        before = running.get(name)
        if before is None or before == text or name in unsaid:
            continue
        lines.append(f"{name} is another value now" if name in secret else f"{name}={text} (it runs with `{before}`)")
    return tuple(lines)


def show(value: object) -> str:
    """Return a setting's value as it would be written in the environment."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case tuple():
            separator = os.pathsep if value and isinstance(value[0], Path) else ","
            return separator.join(shlex.join(each) if isinstance(each, tuple) else str(each) for each in value)
        case _:
            return str(value)
