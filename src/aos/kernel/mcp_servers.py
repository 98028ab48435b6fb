"""MCP servers that AOS asks for its agents: how one is reached, what it offers, and the pin of what was accepted of that.

Whatever a server says of its tools is its own claim. A tool of AOS that stands for one of them carries the digest of what a
person accepted (`pin_of`); a call is made only while the server still offers exactly that. `proposed_tools` writes what a
person may accept; it believes a claim to be harmless at no other place than in that proposal.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias
from uuid import UUID

from aos.kernel.json import Json, canonical_json
from aos.kernel.schema_words import KEYWORDS, check_schema
from aos.kernel.tools import Effect, Tool

DESCRIPTION_MAX: Final = 3_900
"""How much of a server's description a proposal holds; the pin is over all of it."""
TOOL_NAME_MAX: Final = 64
CONCURRENCY_USUAL: Final = 16
"""How many calls one process has under way at one server, where the registration does not say."""

_PATH: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_NAME: Final = re.compile(r"[^a-z0-9-]+")


@dataclass(frozen=True, slots=True)
class SecretName:
    """A value that is one of the organization's secrets, by name."""

    secret: str


Given: TypeAlias = Mapping[str, str | SecretName]
"""Variables or headers: texts, or names of secrets."""


@dataclass(frozen=True, slots=True)
class McpServer:
    """A registered MCP server: a program that AOS starts (`command`), or an address (`url`)."""

    name: str
    command: tuple[str, ...] = ()
    env: Mapping[str, str | SecretName] = field(default_factory=dict)
    folder: str = ""
    """Where the program works; empty: a folder of its own that is removed at its end."""
    url: str = ""
    headers: Mapping[str, str | SecretName] = field(default_factory=dict)
    concurrency: int | None = None
    """How many calls one process has under way at once; None: `CONCURRENCY_USUAL`."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the names of the secrets that it is given, each once."""
        given = (*self.env.values(), *self.headers.values())
        return tuple(sorted({each.secret for each in given if isinstance(each, SecretName)}))


@dataclass(frozen=True, slots=True)
class McpTarget:
    """A server as it is reached now, with its secrets opened; never written down."""

    organization_id: UUID
    name: str
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    folder: str = ""
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    permitted: tuple[str, ...] = ()
    """The hosts that may be asked."""
    concurrency: int = CONCURRENCY_USUAL
    restarts: int = 0
    """How often somebody had it begun anew: a session of an earlier number is not used."""


def is_permitted_command(command: tuple[str, ...], permitted: Sequence[tuple[str, ...]]) -> bool:
    """Say whether an operator's list of commands permits one: it begins with the words of an entry."""
    return any(entry and command[: len(entry)] == entry for entry in permitted)


@dataclass(frozen=True, slots=True)
class Offer:
    """One tool as its server offers it; `claims` are the server's hints about it that are true, by name."""

    name: str
    description: str
    schema: Json
    claims: tuple[str, ...] = ()

    @property
    def pin(self) -> str:
        """Return the digest of what a person accepts of it."""
        return pin_of(self.name, self.description, self.schema)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a manifest could say of an offer: the tool's name, its entry, and what a person should know of both."""

    name: str
    entry: Mapping[str, Json]
    notes: tuple[str, ...] = ()


def pin_of(name: str, description: str, schema: Json) -> str:
    """Return `sha256:` and the digest of a tool's name, description and input schema in their one spelling."""
    said: Json = {"name": name, "description": description, "inputSchema": schema}
    return "sha256:" + hashlib.sha256(canonical_json(said)).hexdigest()


def remote_name(tool: Tool) -> str:
    """Return the name that a tool has at its server."""
    return str(tool.options.get("tool", ""))


def server_name(tool: Tool) -> str:
    """Return the name of the registered server that a tool is of."""
    return str(tool.options.get("server", ""))


def held(tool: Tool, offered: Offer | None) -> str:
    """Return why a call of `tool` is held though its server was asked, empty where it offers what was accepted."""
    pinned, server, remote = tool.options.get("digest"), server_name(tool), remote_name(tool)
    if offered is None:
        return f"`{tool.name}` is held: the server `{server}` does not offer `{remote}` any more"
    mend = f"look at it and accept it with `aos mcp-servers accept {server}`, which needs policy.publish"
    if not pinned:
        return f"`{tool.name}` is held: nobody has accepted what the server `{server}` offers as `{remote}`: {mend}"
    if pinned != offered.pin:
        changed = f"another schema or description of `{remote}` than was accepted"
        return f"`{tool.name}` is held: the server `{server}` offers {changed}: {mend}"
    return ""


def proposed_tools(server: str, offers: Sequence[Offer]) -> list[Proposal]:
    """Return an entry for each offer, in order; where two would have one name, the later is numbered."""
    taken: set[str] = set()
    found = []
    for offer in offers:
        name = _free_name(server, offer.name, taken)
        taken.add(name)
        found.append(_proposal(server, offer, name))
    return found


def without(proposal: Proposal, fixed: Mapping[str, Json]) -> Proposal:
    """Return a proposal whose arguments leave out those that the operator has set: no caller gives them."""
    args = proposal.entry.get("args")
    if not fixed or not isinstance(args, dict):
        return proposal
    members, required = args.get("properties"), args.get("required")
    if isinstance(members, dict):
        args = {**args, "properties": {name: part for name, part in members.items() if name not in fixed}}
    if isinstance(required, list):
        args = {**args, "required": [name for name in required if name not in fixed]}
    return replace(proposal, entry={**proposal.entry, "args": args})


def _free_name(server: str, remote: str, taken: set[str]) -> str:
    plain = _NO_NAME.sub("_", _HUMP.sub("_", remote).lower()).strip("_-") or "tool"
    base = f"{server}.{plain}"[:TOOL_NAME_MAX].rstrip("_-.")
    name, number = base, 2
    while name in taken:
        end = f"_{number}"
        name, number = base[: TOOL_NAME_MAX - len(end)] + end, number + 1
    return name


def _proposal(server: str, offer: Offer, name: str) -> Proposal:
    schema, dropped = readable_schema(offer.schema)
    effect = _guessed_effect(offer.claims)
    entry: dict[str, Json] = {
        "mcp": {"server": server, "tool": offer.name, "digest": offer.pin},
        "effect": effect.value,
        "result_trust": "untrusted",
        "args": schema,
    }
    notes = []
    if offer.claims:
        notes.append(f"its server claims {', '.join(offer.claims)}: the effect is yours to judge")
    if dropped:
        notes.append(f"AOS does not check {', '.join(f'`{each}`' for each in dropped)}: the server itself does")
    if effect is not Effect.READ and (sinks := _text_arguments(schema)):
        entry["sinks"] = sinks
    if offer.description:
        entry["description"] = _cut(offer.description)
    return Proposal(name, entry, tuple(notes))


def _guessed_effect(claims: Sequence[str]) -> Effect:
    if "destructiveHint" in claims:
        return Effect.DELETE
    return Effect.READ if "readOnlyHint" in claims else Effect.WRITE


def _text_arguments(schema: Json) -> list[Json]:
    """Return the arguments that may be texts: whatever directs an effect is among them."""
    members = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(members, dict):
        return []
    return [
        name
        for name, part in members.items()
        if _PATH.fullmatch(name) and (not isinstance(part, dict) or part.get("type", "string") == "string")
    ]


def _cut(text: str) -> str:
    if len(text) <= DESCRIPTION_MAX:
        return text
    return f"{text[:DESCRIPTION_MAX]} ({len(text) - DESCRIPTION_MAX} characters more)"


def readable_schema(schema: Json) -> tuple[Json, tuple[str, ...]]:
    """Return a server's input schema in the words that AOS checks, and the words that were left out.

    What is left out widens what AOS lets through to the server, which checks by its own schema; the pin is over that one.
    """
    dropped: set[str] = set()
    found = _readable(_with_defs(schema), dropped)
    if not isinstance(found, dict):
        found = {}
    found["type"] = "object"
    if dropped & {"patternProperties", "unevaluatedProperties", "allOf", "$dynamicRef"}:
        found["additionalProperties"] = True
    found.setdefault("additionalProperties", False)
    if wrong := check_schema(found):
        members = found.get("properties")
        names = list(members) if isinstance(members, dict) else []
        found = {"type": "object", "properties": dict.fromkeys(names, True), "additionalProperties": True}
        dropped.update(each.pointer.rpartition("/")[2] for each in wrong)
    return found, tuple(sorted(dropped))


def _with_defs(schema: Json) -> Json:
    """Return a schema whose `definitions`, an older spelling, are `$defs`."""
    if not isinstance(schema, dict) or "definitions" not in schema or "$defs" in schema:
        return schema
    renamed = {("$defs" if name == "definitions" else name): value for name, value in schema.items()}
    return _repointed(renamed)


def _repointed(part: Json) -> Json:
    if isinstance(part, list):
        return [_repointed(each) for each in part]
    if not isinstance(part, dict):
        return part
    return {
        name: value.replace("#/definitions/", "#/$defs/")
        if name == "$ref" and isinstance(value, str)
        else _repointed(value)
        for name, value in part.items()
    }


_MAPS: Final = frozenset({"properties", "$defs"})
_LISTS: Final = frozenset({"oneOf", "anyOf"})
_PARTS: Final = frozenset({"items", "additionalProperties", "propertyNames"})
_BESIDE_REF: Final = frozenset({"$ref", "title", "description", "default", "examples", "deprecated"})
_LEFT: Final = frozenset({"$schema", "$id", "$comment", "$anchor"})
"""Words that check nothing and are left out without a word."""


def _readable(part: Json, dropped: set[str]) -> Json:
    if not isinstance(part, dict):
        return part if isinstance(part, bool) else True
    found: dict[str, Json] = {}
    for word, value in part.items():
        if word in _LEFT:
            continue
        kept = _readable_word(word, value, dropped)
        if word not in KEYWORDS or _is_wrong(word, kept):
            dropped.add(word)
        else:
            found[word] = kept
    if "$ref" in found:
        dropped.update(set(found) - _BESIDE_REF - {"$defs"})
        found = {word: value for word, value in found.items() if word in _BESIDE_REF or word == "$defs"}
    return found


def _readable_word(word: str, value: Json, dropped: set[str]) -> Json:
    if word in _MAPS and isinstance(value, dict):
        return {name: _readable(each, dropped) for name, each in value.items()}
    if word in _LISTS and isinstance(value, list):
        return [_readable(each, dropped) for each in value]
    return _readable(value, dropped) if word in _PARTS else value


def _is_wrong(word: str, value: Json) -> bool:
    if word == "format" and value == "money":
        return True  # AOS's own, and no claim of a server's
    if word in _MAPS:
        return not isinstance(value, dict)
    if word in _LISTS:
        return not isinstance(value, list) or not value
    return word not in _PARTS and word != "$ref" and bool(check_schema({word: value}))
