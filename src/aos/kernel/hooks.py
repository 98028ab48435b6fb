"""Hooks: doors through which a system outside starts runs or signals them. Who a message is from, what it says, and what is made of it.

Signatures are those of Standard Webhooks (github.com/standard-webhooks/standard-webhooks, spec version 1): HMAC-SHA256
over `id.timestamp.body`, spelled `v1,BASE64`, several separated by spaces. Events are CloudEvents 1.0 in JSON, binary or
structured; any other JSON body becomes an event of its own. Everything that an event says is an outsider's word.

Rules a reader must not break:
- Digests are compared in constant time, and every given one is compared.
- Headers are not signed, `Content-Type` among them: they say how a message is read, so whoever holds one could have it read
  as another event. What tells two messages apart is therefore the signed `webhook-id` as well, for every kind of event.
- In the binary form a header says even the event's type and source. A hook that chooses by them, or makes anything of what
  is not the event's data, takes no event in that form (`check_signed`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote
from uuid import UUID

import msgspec

from aos.kernel.errors import InvalidRequest, Unauthenticated, UnsupportedMediaType
from aos.kernel.json import Json, depth
from aos.kernel.limits import ARGUMENTS_DEPTH_MAX, NAME_LENGTH_MAX
from aos.kernel.misfits import misfit_text
from aos.kernel.policy.permissions import glob_matches
from aos.kernel.workflow.templates import expressions_of, render

EVENT: Final = "event"
"""The name under which a hook's templates read the event: `${event.data.invoice}`."""
REPLAY_SECONDS: Final = 300
"""How far a message's time may lie from ours, before or behind."""
SECRET_BYTES: Final = 32
SECRET_PREFIX: Final = "whsec_"
SIGNATURES_MAX: Final = 10
"""How many signatures of one message are looked at: a sender that changes its secret sends two."""
BAD_SIGNATURE: Final = "there is no such hook, or the message is not signed with its secret"

_ID: Final = re.compile(r"[!-~]{1,200}")
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}")
_ATTRIBUTE: Final = re.compile(r"[a-z0-9]{1,20}")
_REQUIRED: Final = ("id", "source", "type")
_BESIDES_DATA: Final = re.compile(r"\bevent\b(?!\s*\.\s*data\b)")
"""A word of an expression that reads of the event something else than its data, or might."""
_STRUCTURED: Final = "application/cloudevents"

_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class HookMapping:
    """What a run is given, or which run is told what: templates over `event`."""

    input: Json = "${event.data}"
    goal: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    run: str = "${event.data.run_id}"
    """Of a hook that signals: the id of the run; `input` is then the signal's value."""


@dataclass(frozen=True, slots=True)
class HookSpec:
    """A door that starts a run of a workflow or an agent, or sends a signal, with the rights of `owner`.

    It does so for events of some types and sources: no types, or no sources, are all of them; both may be globs. An empty `owner` is whoever writes it.
    """

    name: str
    workflow: str = ""
    agent: str = ""
    signal: str = ""
    types: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    mapping: HookMapping = HookMapping()
    owner: str = ""
    enabled: bool = True

    @property
    def target(self) -> str:
        """Return the name of what is run, or of the signal that is sent."""
        return self.workflow or self.agent or self.signal

    @property
    def does(self) -> str:
        """Return what it does, as the store has it."""
        return "signal" if self.signal else "run"

    @property
    def reach(self) -> str:
        """Return what whoever holds its secret may do, in words."""
        return f"may send runs the signal `{self.signal}`" if self.signal else f"may start `{self.target}`"


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it came: header names in lower case, the body's bytes untouched."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """Return the signed id, empty where it is missing."""
        return self.headers.get("webhook-id", "")


@dataclass(frozen=True, slots=True)
class Event:
    """What happened outside."""

    id: str
    source: str
    type: str
    data: Json
    attributes: Mapping[str, str] = field(default_factory=dict)
    data_only: bool = False
    """Whether the signature covers nothing but the data: all else came in headers."""

    def values(self) -> dict[str, Json]:
        """Return what templates read as `event`."""
        named: dict[str, Json] = {"id": self.id, "source": self.source, "type": self.type}
        return {EVENT: {**self.attributes, **named, "data": self.data}}

    @property
    def key(self) -> str:
        """Return what names this event among all of one hook: the digest of its source and id."""
        return hashlib.sha256(msgspec.json.encode([self.source, self.id])).hexdigest()


@dataclass(frozen=True, slots=True)
class Given:
    """What a run is given by an event, or told; `run` is the id of the one that is told."""

    input: Json
    goal: str
    labels: Mapping[str, str]
    run: UUID | None = None


def hook_from(row: Mapping[str, Any], *, enabled: bool = True) -> HookSpec:
    """Return the hook that a row of the store holds."""
    does = {"workflow": "", "agent": "", "signal": ""}
    does["signal" if row["does"] == "signal" else row["target_kind"]] = row["target"]
    return HookSpec(
        name=row["name"],
        **does,
        types=tuple(row["accepts"].get("types", ())),
        sources=tuple(row["accepts"].get("sources", ())),
        mapping=msgspec.convert(row["mapping"], HookMapping),
        owner=row["owner"],
        enabled=enabled,
    )


def secret_text(secret: bytes) -> str:
    """Return a secret as senders are told it."""
    return SECRET_PREFIX + base64.b64encode(secret).decode("ascii")


def signature_of(message_id: str, timestamp: str, body: bytes, *, secret: bytes) -> str:
    """Return the signature of a message as the header spells it."""
    signed = f"{message_id}.{timestamp}.".encode("latin-1", "replace") + body
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode("ascii")


def check_signature(message: Message, secret: bytes, *, now_seconds: float) -> None:
    """Raise Unauthenticated unless the message is signed with `secret` and its time is within REPLAY_SECONDS of ours.

    The work is the same whatever is wrong with the signature.
    """
    timestamp = message.headers.get("webhook-timestamp", "")
    expected = signature_of(message.id, timestamp, message.body, secret=secret).encode("ascii")
    given = message.headers.get("webhook-signature", "").split(" ")[:SIGNATURES_MAX]
    found = False
    for each in given:
        found |= hmac.compare_digest(each.encode("utf-8", "replace"), expected)
    # A dot in the id would let the same bytes be read as another id, time and body.
    well_formed = bool(_ID.fullmatch(message.id) and "." not in message.id and _TIMESTAMP.fullmatch(timestamp))
    if not (found and well_formed):
        raise Unauthenticated(BAD_SIGNATURE)
    if abs(now_seconds - int(timestamp)) > REPLAY_SECONDS:
        raise Unauthenticated(f"the message's time lies more than {REPLAY_SECONDS} seconds from ours: sign it anew")


def read_event(message: Message) -> Event:
    """Return the event that a message carries; raise InvalidRequest or UnsupportedMediaType saying what is wrong."""
    kind = message.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind.startswith(f"{_STRUCTURED}-batch"):
        raise UnsupportedMediaType("a batch of events is not taken: send each event by itself")
    if kind.startswith(_STRUCTURED):
        if kind != f"{_STRUCTURED}+json":
            raise UnsupportedMediaType(f"the event is `{kind[:80]}`, send `application/cloudevents+json`")
        return _structured(_json(message.body))
    if kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedMediaType(f"the body is `{kind[:80]}`, send `application/json`")
    if "ce-specversion" in message.headers:
        return _binary(message)
    return _plain(message, _json(message.body))


def accepts(spec: HookSpec, event: Event) -> bool:
    """Say whether a hook takes events of this type and source."""
    return _matches(spec.types, event.type) and _matches(spec.sources, event.source)


def check_signed(spec: HookSpec, event: Event) -> None:
    """Raise UnsupportedMediaType where a hook reads of an event what no signature covers: anyone on the way could set it."""
    if not event.data_only:
        return
    reads = ["its type" if spec.types else "", "its source" if spec.sources else ""]
    mapping = spec.mapping
    used: Json = [mapping.input, mapping.goal, dict(mapping.labels), *([mapping.run] if spec.signal else [])]
    if any(_BESIDES_DATA.search(text) for text in expressions_of(used)):
        reads.append("more than `event.data`")
    if any(reads):
        told = " and ".join(each for each in reads if each)
        raise UnsupportedMediaType(
            f"hook `{spec.name}` reads {told}, which in the binary form of an event stand in headers that no signature covers: "
            "send the event in the structured form, as `application/cloudevents+json`"
        )


def map_event(spec: HookSpec, event: Event) -> Given:
    """Return what a run is given or told; raise InvalidRequest where a template finds no value or a wrong one."""
    mapping, values = spec.mapping, event.values()
    if spec.signal:
        return Given(render(mapping.input, values), "", {}, run=_run_id(render(mapping.run, values)))
    goal = render(mapping.goal, values)
    labels = render(dict(mapping.labels), values)
    assert isinstance(labels, dict)
    if not isinstance(goal, str):
        raise InvalidRequest("the hook's `goal` must become text: put it into a sentence, or choose another field")
    return Given(render(mapping.input, values), goal, {name: _label(name, value) for name, value in labels.items()})


def _run_id(value: Json) -> UUID:
    try:
        return UUID(value if isinstance(value, str) else "")
    except ValueError as error:
        raise InvalidRequest("the hook's `run` must become the id of a run") from error


def _label(name: str, value: Json) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InvalidRequest(f"the hook's label `{name}` must become text or a number")
    text = str(value)
    if len(text) > NAME_LENGTH_MAX:
        raise InvalidRequest(f"the hook's label `{name}` became longer than {NAME_LENGTH_MAX} characters")
    return text


def _matches(patterns: tuple[str, ...], text: str) -> bool:
    return not patterns or any(glob_matches(each, text) for each in patterns)


def _json(body: bytes) -> Json:
    if not body:
        return None
    try:
        body.decode("utf-8")
        value: Json = _decode(body)
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequest(f"the body is not JSON: {misfit_text(error)}") from error
    if depth(value, at_most=ARGUMENTS_DEPTH_MAX) > ARGUMENTS_DEPTH_MAX:
        raise InvalidRequest(f"the body nests deeper than {ARGUMENTS_DEPTH_MAX} levels")
    if b"\\u0000" in body or b"\x00" in body:
        raise InvalidRequest("the body holds the character U+0000, which cannot be stored")
    return value


def _structured(document: Json) -> Event:
    if not isinstance(document, dict):
        raise InvalidRequest("a structured event must be a JSON object")
    attributes: dict[str, str] = {}
    for name, value in document.items():
        if name in ("data", "data_base64"):
            continue
        if isinstance(value, bool | int | str) and value is not None:
            attributes[name] = value if isinstance(value, str) else str(value).lower()
        elif value is not None:
            raise InvalidRequest(f"attribute `{name[:40]}` of the event must be text, a number or true or false")
    data: Json = document.get("data")
    if "data_base64" in document:
        if "data" in document:
            raise InvalidRequest("the event has both `data` and `data_base64`: send one of them")
        data = _from_base64(document["data_base64"])
    return _event(attributes, data)


def _from_base64(text: Json) -> Json:
    try:
        body = base64.b64decode(text if isinstance(text, str) else "?", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest("`data_base64` of the event is not base64") from error
    return _json(body)


def _binary(message: Message) -> Event:
    attributes = {
        name.removeprefix("ce-"): unquote(value) for name, value in message.headers.items() if name.startswith("ce-")
    }
    return _event(attributes, _json(message.body), data_only=True)


def _event(attributes: Mapping[str, str], data: Json, *, data_only: bool = False) -> Event:
    """Return the event; raise InvalidRequest for what CloudEvents 1.0, section 3, does not allow."""
    if attributes.get("specversion") != "1.0":
        raise InvalidRequest("the event's `specversion` must be `1.0`")
    for name in _REQUIRED:
        if not 0 < len(attributes.get(name, "")) <= 1_000:
            raise InvalidRequest(f"the event needs `{name}`, at most 1000 characters long")
    for name, value in attributes.items():
        if not _ATTRIBUTE.fullmatch(name):
            raise InvalidRequest(f"`{name[:40]}` cannot be an attribute: lower-case letters and digits, at most 20")
        if len(value) > 4_000 or "\x00" in value:
            raise InvalidRequest(f"the event's `{name}` is too long, or holds the character U+0000")
    return Event(attributes["id"], attributes["source"], attributes["type"], data, dict(attributes), data_only)


def _plain(message: Message, body: Json) -> Event:
    """Return the event of a body that is no CloudEvent: named by the message, its type where it says one."""
    said = body.get("type") if isinstance(body, dict) else None
    return Event(message.id, "", said[:1_000] if isinstance(said, str) else "", body)
