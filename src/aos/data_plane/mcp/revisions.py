"""The revisions of MCP that are served, and what one request says of its client.

Nothing of a client is kept in memory. Since 2026-07-28 every request carries what must be known; before, `initialize` puts
the one thing that later requests do not repeat, whether the client can show a person an address, into the session's id. An
id stands for nothing else and is no credential: who invents one only chooses the form of their own answers.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcp_types import CLIENT_CAPABILITIES_META_KEY, PROTOCOL_VERSION_META_KEY
from mcp_types.jsonrpc import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    UNSUPPORTED_PROTOCOL_VERSION,
)
from mcp_types.methods import validate_client_request
from pydantic import ValidationError

from aos.data_plane.http import Scope
from aos.data_plane.mcp.rpc import Fault, Message, wrong_params
from aos.kernel.errors import NotFound

STATELESS: Final = "2026-07-28"
NEWEST_HANDSHAKE: Final = "2025-11-25"
HANDSHAKES: Final = (NEWEST_HANDSHAKE, "2025-06-18", "2025-03-26")
"""Revisions that begin with `initialize`, the newest first."""
ASSUMED: Final = "2025-03-26"
"""What a request without `MCP-Protocol-Version` speaks (2025-11-25, "Protocol Version Header")."""
SERVED: Final = (STATELESS, *HANDSHAKES)

VERSION_HEADER: Final = "mcp-protocol-version"
METHOD_HEADER: Final = "mcp-method"
NAME_HEADER: Final = "mcp-name"
SESSION_HEADER: Final = "mcp-session-id"
_NAMED: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""Methods whose parameter stands in `Mcp-Name` too."""
_METHODS: Final = {STATELESS: frozenset({"server/discover", "tools/list", "tools/call"})}
_HANDSHAKE_METHODS: Final = frozenset({"initialize", "ping", "tools/list", "tools/call"})
_SESSION: Final = re.compile(r"aos1-([un])-[A-Za-z0-9_-]{32}")
_BASE64: Final = re.compile(r"=\?base64\?(.*)\?=")


@dataclass(frozen=True, slots=True)
class Client:
    """What one request says of its client: `opens_addresses` where it can ask a person to open one."""

    revision: str
    opens_addresses: bool

    @property
    def is_stateless(self) -> bool:
        """Say whether the client speaks the revision without handshake and sessions."""
        return self.revision == STATELESS


def is_stateless_request(headers: Mapping[str, str], message: Message | None) -> bool:
    """Say whether a request is judged by the rules of 2026-07-28: by its header, or by what it carries where it has none."""
    version = headers.get(VERSION_HEADER)
    if version is not None:
        return version not in HANDSHAKES
    meta = message.params.get("_meta") if message is not None else None
    return isinstance(meta, dict) and PROTOCOL_VERSION_META_KEY in meta


def handshake_client(headers: Mapping[str, str]) -> Client:
    """Return what a request of a revision with handshake says of its client; raise NotFound for a session never begun."""
    revision = headers.get(VERSION_HEADER, ASSUMED)
    session = headers.get(SESSION_HEADER)
    if session is None:
        return Client(revision, opens_addresses=False)
    found = _SESSION.fullmatch(session)
    if found is None:
        raise NotFound(f"there is no session `{session[:60]}`: begin with `initialize`")
    return Client(revision, opens_addresses=found[1] == "u" and revision == NEWEST_HANDSHAKE)


def new_session(capabilities: object) -> str:
    """Return the id of a new session, which says what later requests do not repeat of the client's abilities."""
    return f"aos1-{'u' if _opens_addresses(capabilities) else 'n'}-{secrets.token_urlsafe(24)}"


def agreed_revision(asked: str) -> str:
    """Return the revision that `initialize` is answered with: the one asked for, else the newest with a handshake."""
    return asked if asked in HANDSHAKES else NEWEST_HANDSHAKE


def stateless_client(scope: Scope, headers: Mapping[str, str], message: Message) -> Client:
    """Return what a request of 2026-07-28 says of its client; raise Fault where it contradicts itself.

    Headers must repeat the body's method, version and name, so that who routes by headers and who acts by the body agree.
    """
    _check_single(scope)
    meta = message.params.get("_meta")
    missing = [
        key
        for key in (PROTOCOL_VERSION_META_KEY, CLIENT_CAPABILITIES_META_KEY)
        if not isinstance(meta, dict) or key not in meta
    ]
    if missing and headers.get(VERSION_HEADER, STATELESS) != STATELESS:
        check_served(headers[VERSION_HEADER])
    if not isinstance(meta, dict) or missing:
        named = " and ".join(f"`{key}`" for key in missing)
        raise Fault(INVALID_PARAMS, f"`params._meta` must say {named} in every request")
    version = meta[PROTOCOL_VERSION_META_KEY]
    _check_header(headers, VERSION_HEADER, version)
    _check_header(headers, METHOD_HEADER, message.method)
    named_by = _NAMED.get(message.method)
    if named_by is not None and named_by in message.params:
        _check_header(headers, NAME_HEADER, message.params[named_by])
    check_served(version)
    return Client(STATELESS, _opens_addresses(meta[CLIENT_CAPABILITIES_META_KEY]))


def check_served(version: object) -> None:
    """Raise Fault where a version that a header or body names is not served without handshake."""
    if version != STATELESS:
        data = {"supported": list(SERVED), "requested": str(version)[:60]}
        raise Fault(UNSUPPORTED_PROTOCOL_VERSION, "this protocol version is not served", data=data)


def _check_single(scope: Scope) -> None:
    names = [name for name, _ in scope["headers"]]
    for name in (VERSION_HEADER, METHOD_HEADER, NAME_HEADER):
        if names.count(name.encode()) > 1:
            raise Fault(HEADER_MISMATCH, f"`{name}` stands more than once among the headers")


def _check_header(headers: Mapping[str, str], name: str, said: object) -> None:
    value = headers.get(name)
    if value is None or _decoded(value.strip(" \t")) != said:  # white space around it is no part of it (RFC 9110, 5.5)
        raise Fault(HEADER_MISMATCH, f"the header `{name}` must repeat what the body says")


def _decoded(value: str) -> str | None:
    """Return a header's value, out of the `=?base64?...?=` that carries what a header cannot; None where it is broken."""
    found = _BASE64.fullmatch(value)
    if found is None:
        return value
    try:
        return base64.b64decode(found[1], validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None


def _opens_addresses(capabilities: Any) -> bool:
    """Say whether a client's capabilities hold elicitation by address; form elicitation alone does not help."""
    elicitation = capabilities.get("elicitation") if isinstance(capabilities, dict) else None
    return isinstance(elicitation, dict) and isinstance(elicitation.get("url"), dict)


def refuse_answer(message: Message) -> None:
    """Raise Fault for a client's answer to a request that was never made (2026-07-28 has none)."""
    if not message.method:
        raise Fault(INVALID_REQUEST, "this server asks nothing that could be answered so: send a request")


def check_params(message: Message, revision: str) -> None:
    """Raise Fault for a method that the revision lacks here, and for parameters of another shape than its own."""
    if message.method not in _METHODS.get(revision, _HANDSHAKE_METHODS):
        raise Fault(METHOD_NOT_FOUND, f"there is no method `{message.method[:80]}` here")
    try:
        validate_client_request(message.method, revision, message.params)
    except ValidationError as error:
        raise wrong_params(error) from error
