"""`/mcp`: the door for MCP clients (streamable HTTP), and what names it to OAuth clients (RFC 9728).

Served are 2026-07-28, where each request stands for itself, and the revisions with a handshake up to 2025-11-25. Both are
answered by whatever process takes the request, in JSON unless progress is told. Rules a reader must not break:
- Nothing is remembered between two requests.
- The caller is known before its body is read.
- A page of another address may not speak here through a browser (`Origin`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

from mcp_types import SERVER_INFO_META_KEY

from aos.data_plane.addresses import METADATA_PATH, base_url, challenge, issuer_of
from aos.data_plane.binding import Services
from aos.data_plane.http import (
    Receive,
    Request,
    Response,
    Scope,
    Send,
    bearer_of,
    headers_of,
    json_response,
    read_body,
    respond,
)
from aos.data_plane.mcp.calls import Call, call_tool
from aos.data_plane.mcp.catalogue import list_tools
from aos.data_plane.mcp.progress import Progressing, answered_with_progress, token_of
from aos.data_plane.mcp.revisions import (
    NEWEST_HANDSHAKE,
    SERVED,
    SESSION_HEADER,
    VERSION_HEADER,
    Client,
    agreed_revision,
    check_params,
    check_served,
    handshake_client,
    is_stateless_request,
    new_session,
    refuse_answer,
    stateless_client,
)
from aos.data_plane.mcp.rpc import (
    MCP_PATH,
    Fault,
    Message,
    answer,
    error_response,
    fault_response,
    id_of,
    read_message,
)
from aos.kernel.errors import AosError, Forbidden, MethodNotAllowed, NotAcceptable
from aos.kernel.identity import Principal

log = logging.getLogger("aos.data_plane")

SERVER_INFO: Final = {"name": "aos", "title": "AOS", "version": version("aos")}
INSTRUCTIONS: Final = (
    "Every call is decided by policy and recorded. A result with isError says why a call was refused; do not repeat it "
    "unchanged unless it says so. A call that waits for a person is repeated with the very same arguments once approved."
)
_CAPABILITIES: Final = {"tools": {"listChanged": False}}
_UNCACHED: Final = {"ttlMs": 0, "cacheScope": "private"}
"""What keeps an answer out of caches: what a caller may see can change with the next revocation."""


def is_mcp_path(path: str) -> bool:
    """Say whether a path is this door's or its metadata's."""
    return path.rstrip("/") == MCP_PATH or path in (METADATA_PATH, METADATA_PATH + MCP_PATH)


@dataclass(frozen=True, slots=True)
class _Turn:
    """One message of a known caller. `base_url` is the address under which the caller reaches this server."""

    services: Services
    principal: Principal
    headers: Mapping[str, str]
    message: Message
    base_url: str

    @property
    def is_stateless(self) -> bool:
        return is_stateless_request(self.headers, self.message)


async def mcp_door(services: Services, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request at the door; every error is JSON-RPC's, with the problem in its `data`."""
    answered = await _answer(services, scope, receive)
    if isinstance(answered, Progressing):
        await answered.send_to(send)
    else:
        await respond(send, answered)


async def _answer(services: Services, scope: Scope, receive: Receive) -> Response | Progressing:
    headers = headers_of(scope)
    base = base_url(scope, headers)
    try:
        if scope["path"].startswith(METADATA_PATH):
            return _metadata(services, scope, base)
        _check_carrier(scope, headers, base)
        if not services.facts.is_fresh():
            await services.facts.refresh()  # a list writes nothing that would find out that a key has ended
        principal = await services.authenticator.principal(
            bearer_of(headers), organization=headers.get("aos-organization")
        )
        body = await read_body(scope, receive)
        request = Request(scope["method"], scope["path"], scope["query_string"], headers, body)
        try:
            message = read_message(request)
        except Fault as fault:
            return fault_response(fault, id_of(request), stateless=is_stateless_request(headers, None))
        turn = _Turn(services, principal, headers, message, base)
        token = token_of(headers, message)
        return await (_settled(turn, scope) if token is None else answered_with_progress(token, _settled(turn, scope)))
    except AosError as error:
        return _door_error(error, None, scope, base=base)
    except Exception as error:
        return _broken(error, None, scope, base=base)


async def _settled(turn: _Turn, scope: Scope) -> Response:
    """Answer one message, whatever comes of it."""
    message = turn.message
    try:
        return _acknowledged(turn) if message.is_notification else await _answered(turn, scope)
    except Fault as fault:
        return fault_response(fault, message.id, stateless=turn.is_stateless)
    except AosError as error:
        return _door_error(error, message.id, scope, base=turn.base_url)
    except Exception as error:
        return _broken(error, message.id, scope, base=turn.base_url)


def _broken(error: Exception, ident: str | int | None, scope: Scope, *, base: str) -> Response:
    log.error("request failed", extra={"path": scope["path"]}, exc_info=error)
    return _door_error(AosError("something broke inside; it is logged"), ident, scope, base=base)


def _acknowledged(turn: _Turn) -> Response:
    """Answer a notification, or the client's answer to a question: it is taken and changes nothing."""
    if turn.is_stateless:
        refuse_answer(turn.message)
        check_served(turn.headers.get(VERSION_HEADER))
    else:
        handshake_client(turn.headers)
    return Response(202)


async def _answered(turn: _Turn, scope: Scope) -> Response:
    message = turn.message
    if turn.is_stateless:
        client = stateless_client(scope, turn.headers, message)
        result = await _result(turn, client)
        meta = {SERVER_INFO_META_KEY: SERVER_INFO, **result.get("_meta", {})}
        return answer(message, {"resultType": "complete", **result, "_meta": meta})
    if message.method == "initialize":
        check_params(message, NEWEST_HANDSHAKE)
        session = new_session(message.params["capabilities"])
        return answer(message, _initialized(message), headers={SESSION_HEADER: session})
    return answer(message, await _result(turn, handshake_client(turn.headers)))


async def _result(turn: _Turn, client: Client) -> dict[str, Any]:
    message, services = turn.message, turn.services
    check_params(message, client.revision)
    match message.method:
        case "ping":
            return {}
        case "server/discover":
            served = {"supportedVersions": list(SERVED), "capabilities": _CAPABILITIES, "instructions": INSTRUCTIONS}
            return {**served, **_UNCACHED}
        case "tools/list":
            facts = await services.facts.of(turn.principal.organization_id)
            page = list_tools(turn.principal, facts, cursor=message.params.get("cursor"))
            return {**page, **_UNCACHED} if client.is_stateless else page
        case _:
            key = turn.headers.get("idempotency-key")
            return await call_tool(services, Call(turn.principal, client, message.params, key, turn.base_url))


def _initialized(message: Message) -> dict[str, Any]:
    return {
        "protocolVersion": agreed_revision(message.params["protocolVersion"]),
        "capabilities": _CAPABILITIES,
        "serverInfo": SERVER_INFO,
        "instructions": INSTRUCTIONS,
    }


def _check_carrier(scope: Scope, headers: Mapping[str, str], base: str) -> None:
    """Raise where the HTTP around a message is not the transport's."""
    if scope["method"] != "POST":
        raise MethodNotAllowed(f"{scope['method']} is not possible here: every message is a POST of its own")
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != base.partition("://")[2]:
        raise Forbidden(f"a page of `{origin[:80]}` may not speak here")
    accepted = [each.partition(";")[0].strip().lower() for each in headers.get("accept", "*/*").split(",")]
    if not {"application/json", "application/*", "*/*"}.intersection(accepted):
        raise NotAcceptable("answers are `application/json`: accept it, and `text/event-stream` as the transport asks")


def _door_error(error: AosError, ident: str | int | None, scope: Scope, *, base: str) -> Response:
    more: dict[str, str] = {}
    if error.status == 401:
        more["www-authenticate"] = challenge(base, headers_of(scope), path=MCP_PATH)
    elif error.status == 405:
        more["allow"] = "GET, HEAD" if scope["path"].startswith(METADATA_PATH) else "POST"
    return error_response(error, ident, headers=more)


def _metadata(services: Services, scope: Scope, base: str) -> Response:
    """Return the metadata of this server, or of its `/mcp`, as a protected resource (RFC 9728, section 3)."""
    if scope["method"] not in ("GET", "HEAD"):
        raise MethodNotAllowed(f"{scope['method']} is not possible here, use GET")
    document = {
        "resource": base + scope["path"].removeprefix(METADATA_PATH),
        "resource_name": "AOS",
        "authorization_servers": [issuer_of(base, services.oauth.tokens.addresses)],
        "bearer_methods_supported": ["header"],
    }
    return json_response(200, document, headers={"cache-control": "no-store"})
