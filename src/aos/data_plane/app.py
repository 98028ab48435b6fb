"""The data plane as one ASGI application: the doors, and the front for everything else.

Routing is by the path's first words; what no door speaks goes to the control plane. Every error leaves as a problem, in the
caller's own form; an unexpected one is logged and says nothing of its inside.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias
from urllib.parse import unquote

from aos.data_plane.a2a.door import a2a_door, is_a2a_path
from aos.data_plane.addresses import challenging
from aos.data_plane.binding import Services
from aos.data_plane.hooks import take_message
from aos.data_plane.http import Receive, Response, Scope, Send, problem, read_request, respond
from aos.data_plane.mcp.door import is_mcp_path, mcp_door
from aos.data_plane.mcp_servers import discover_offers
from aos.data_plane.models import is_model_path, model_door
from aos.data_plane.oauth import is_oauth_path, oauth_door
from aos.data_plane.streams import stream_run_events
from aos.data_plane.tools import call_tool
from aos.data_plane.work import is_work_path, work_door
from aos.kernel.errors import AosError, MethodNotAllowed

log = logging.getLogger("aos.data_plane")

App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


def build_app(services: Services) -> App:
    """Return the ASGI application over bound services."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await _http(services, scope, receive, send)

    return app


async def _http(services: Services, scope: Scope, receive: Receive, send: Send) -> None:
    started = False
    send = challenging(scope, send)

    async def sending(message: object) -> None:
        nonlocal started
        started = True
        await send(message)  # type: ignore[arg-type]

    if is_model_path(scope["path"]):
        await model_door(services, scope, receive, send)
        return
    if is_mcp_path(scope["path"]):
        await mcp_door(services, scope, receive, send)
        return
    if is_oauth_path(scope["path"]):
        await respond(send, await oauth_door(services, scope, receive))
        return
    if is_a2a_path(scope):
        await a2a_door(services, scope, receive, send)
        return
    try:
        tool = _between(scope, "tools", "call")
        server = _between(scope, "mcp-servers", "discover") if scope["method"] == "POST" else None
        run = _between(scope, "runs", "events") if tool is None and scope["method"] == "GET" else None
        if tool is not None:
            await respond(sending, await _tool_door(services, scope, receive, tool=tool))
        elif (hook := _hook(scope)) is not None:
            await respond(sending, await _hook_door(services, scope, receive, hook=hook))
        elif server is not None:
            await respond(sending, await discover_offers(services, await read_request(scope, receive), server))
        elif is_work_path(scope["path"]):
            await respond(sending, await work_door(services, scope, receive))
        elif run is not None:
            request = await read_request(scope, receive)
            await stream_run_events(services, request, run, receive, sending)
        else:
            await services.front.handle(scope, receive, sending)
    except AosError as error:
        await _fail(sending, error, scope["path"], started=started)
    except Exception:
        log.exception("request failed", extra={"path": scope["path"]})
        await _fail(sending, AosError("something broke inside; it is logged"), scope["path"], started=started)


async def _fail(send: Send, error: AosError, path: str, *, started: bool) -> None:
    if not started:
        await respond(send, problem(error, path))


async def _tool_door(services: Services, scope: Scope, receive: Receive, *, tool: str) -> Response:
    if scope["method"] != "POST":
        error = MethodNotAllowed(f"{scope['method']} is not possible here, use POST")
        return problem(error, scope["path"], headers=((b"allow", b"POST"),))
    return await call_tool(services, await read_request(scope, receive), tool)


async def _hook_door(services: Services, scope: Scope, receive: Receive, *, hook: tuple[str, str]) -> Response:
    organization, name = hook
    return await take_message(services, await read_request(scope, receive), organization, hook=name)


def _hook(scope: Scope) -> tuple[str, str] | None:
    """Return the two ids of a hook's address; other paths below `/hooks` are the control plane's."""
    parts = scope["raw_path"].decode("latin-1").split("/")
    if scope["method"] == "POST" and len(parts) == 4 and parts[1] == "hooks" and len(parts[2]) == len(parts[3]) == 36:
        return parts[2], parts[3]
    return None


def _between(scope: Scope, first: str, last: str) -> str | None:
    """Return what stands between two words of the path, decoded once: a `%2F` in it is part of the name."""
    parts = scope["raw_path"].decode("latin-1").split("/")
    if len(parts) == 4 and parts[1] == first and parts[3] == last and parts[2]:
        return unquote(parts[2])
    return None


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await send({"type": "lifespan.shutdown.complete"})
            return
