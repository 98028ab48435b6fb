"""Tools as the gate knows them: what they do to the world, which arguments direct it, whether it may be done twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from aos.kernel.json import Json
from aos.kernel.money import Money


class Effect(StrEnum):
    """What a call does to the world."""

    READ = "read"
    WRITE = "write"
    SEND = "send"
    PAY = "pay"
    DELETE = "delete"
    ADMIN = "admin"


class ResultTrust(StrEnum):
    """How far what the tool returns may direct later acts: a record of ours, our own text, or an outsider's words."""

    TRUSTED = "trusted"
    OWN = "own"
    UNTRUSTED = "untrusted"


class Repeat(StrEnum):
    """What to do when a call's outcome is unknown: make it again, ask again under its key, or ask a person."""

    SAFE = "safe"
    KEYED = "keyed"
    NEVER = "never"


class ToolTransport(StrEnum):
    """How a tool is reached: a function in a host process, one of AOS's own readings, a tool of an MCP server, or a server that
    needs no code here."""

    PYTHON = "python"
    AOS = "aos"
    MCP = "mcp"
    HTTP = "http"
    SQL = "sql"
    EMAIL = "email"


class OwnTool(StrEnum):
    """The readings that AOS itself offers as tools."""

    LIST_ACTIONS = "list_actions"


@dataclass(frozen=True, slots=True)
class FactLookup:
    """A fact that policies may name as `facts.NAME.field`: a read tool called with arguments of this act.

    `arguments` maps the read tool's argument to a dotted path in this act's arguments. The call is an act of the same
    principal, through the same gate.
    """

    name: str
    tool: str
    arguments: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Compensation:
    """How a performed call is undone: another tool, and its arguments, whose `${...}` read the call's `args` and `output`."""

    tool: str
    arguments: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool at its current version. `schema` is the JSON Schema of its arguments; `sinks` are dotted paths in them."""

    id: UUID
    name: str
    version: int
    effect: Effect
    repeat: Repeat
    result_trust: ResultTrust
    transport: ToolTransport
    entry: str
    schema: Json
    sinks: tuple[str, ...] = ()
    money: tuple[str, ...] = ()
    """Dotted paths of arguments that are decimal strings of money (schema format `money`)."""
    lookups: tuple[FactLookup, ...] = ()
    price: Money | None = None
    reversible: bool = False
    timeout_seconds: int = 60
    description: str = ""
    fixed: Mapping[str, Json] = field(default_factory=dict)
    """Arguments that the operator sets: no caller can give or see them."""
    concurrency: int | None = None
    """How many of its calls may be under way at once; None: as many as are made."""
    compensate: Compensation | None = None
    options: Mapping[str, Json] = field(default_factory=dict)
    """What a transport that is written as an object says; one that is written as a text has its `entry`."""


def default_repeat(effect: Effect) -> Repeat:
    """Return what a tool may do again when it does not say: reads are safe, every other effect waits for a person."""
    return Repeat.SAFE if effect is Effect.READ else Repeat.NEVER


def secrets_of(options: Json | Mapping[str, Json]) -> tuple[str, ...]:
    """Return the names of the secrets that a tool's options name as `{secret: NAME}`, each once, in order."""
    found: set[str] = set()
    waiting: list[Json] = [dict(options) if isinstance(options, Mapping) else options]
    for value in waiting:
        if isinstance(value, dict):
            if isinstance(name := value.get("secret"), str):
                found.add(name)
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return tuple(sorted(found))
