"""`/a2a/{agent}`: the door for A2A clients (1.0), in JSON-RPC and in HTTP+JSON, with streams.

Rules a reader must not break:
- Nothing is remembered between two requests: tasks, their notifications and what a stream begins with lie in Postgres.
- The caller is known before the body is read; an agent is looked for among those of the caller's organization.
- Every error is the binding's own.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from a2a.utils.errors import A2AError, InvalidParamsError

from aos.data_plane.a2a.calls import Turn, answer, open_stream
from aos.data_plane.a2a.cards import agent_card, anybodys_card, deployment_card, signed
from aos.data_plane.a2a.faults import A2A_JSON, fault_of, rest_error, rpc_error
from aos.data_plane.a2a.routes import (
    STREAMING,
    Asked,
    Route,
    check_version,
    ident_of,
    read_asked,
    read_rest,
    read_rpc,
    route_of,
)
from aos.data_plane.a2a.watching import stream_task
from aos.data_plane.addresses import base_url
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
    problem,
    read_body,
    respond,
)
from aos.kernel.errors import AosError, MethodNotAllowed
from aos.kernel.identity import Principal
from aos.kernel.json import Json
from aos.kernel.limits import NAME_LENGTH_MAX
from aos.operations.a2a_documents import plain
from aos.operations.a2a_tasks import A2aTask

log = logging.getLogger("aos.data_plane")


def is_a2a_path(scope: Scope) -> bool:
    """Say whether a path is this door's."""
    return route_of(scope) is not None


async def a2a_door(services: Services, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request at the door."""
    route = route_of(scope)
    assert route is not None
    request = Request(scope["method"], scope["path"], scope["query_string"], headers_of(scope), b"")
    speaking = _Speaking(services, route, base_url(scope, request.headers), receive, send)
    if route.is_card:
        await respond(send, await _card(speaking, request))
        return
    try:
        await speaking.speak(scope, request)
    except A2AError as error:
        await speaking.fail(error, scope["path"])
    except AosError as error:
        await speaking.fail(error, scope["path"])
    except Exception:
        log.exception("request failed", extra={"path": scope["path"]})
        await speaking.fail(AosError("something broke inside; it is logged"), scope["path"])


@dataclass(slots=True)
class _Speaking:
    """One request while it is answered; `ident` is what an error of it carries."""

    services: Services
    route: Route
    base_url: str
    receive: Receive
    send: Send
    ident: Json = None
    started: bool = False

    async def speak(self, scope: Scope, head: Request) -> None:
        if self.route.is_rpc and head.method != "POST":
            raise MethodNotAllowed(f"{head.method} is not possible here: every request is a POST")
        principal = await caller(self.services, head.headers)
        body = await read_body(scope, self.receive)
        request = Request(head.method, head.path, head.query_string, head.headers, body)
        if self.route.is_rpc:
            self.ident = _ident(body)
            verb, params, _ = read_rpc(request)
            check_version(request)
            asked = read_asked(verb, params, ident=self.ident)
        else:
            check_version(request)
            asked = read_rest(request, self.route.rest)
        await self._answer(principal, asked, request)

    async def _answer(self, principal: Principal, asked: Asked, request: Request) -> None:
        agent = await self.services.a2a.agent(principal, _agent_name(self.route, asked))
        turn = Turn(self.services, principal, agent, asked, self.base_url, self.receive)
        try:
            if asked.verb not in STREAMING:
                await respond(self.send, self._whole(await answer(turn)))
                return
            task = await open_stream(turn)
        except AosError as error:
            raise fault_of(error, asked.verb) from error

        async def find() -> A2aTask:
            again = await caller(self.services, request.headers)
            return await self.services.a2a.find(again, agent, task.id)

        self.started = True
        await stream_task(self.services, task, find, framed=self._framed, receive=self.receive, send=self.send)

    def _whole(self, result: dict[str, Any]) -> Response:
        if self.route.is_rpc:
            return json_response(200, self._framed(result))
        found = json_response(200, result)
        return Response(found.status, found.body, A2A_JSON, found.headers)

    def _framed(self, result: dict[str, Any]) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": self.ident, "result": result} if self.route.is_rpc else result

    async def fail(self, error: A2AError | AosError, path: str) -> None:
        """Answer an error in the binding's form; a stream that has begun just ends."""
        if self.started:
            return
        await respond(self.send, rpc_error(error, self.ident, path) if self.route.is_rpc else rest_error(error, path))


async def caller(services: Services, headers: Mapping[str, str]) -> Principal:
    """Return who asks, by what counts now; raise Unauthenticated."""
    if not services.facts.is_fresh():
        await services.facts.refresh()  # a reading writes nothing that would find out that a key has ended
    return await services.authenticator.principal(bearer_of(headers), organization=headers.get("aos-organization"))


async def _card(speaking: _Speaking, request: Request) -> Response:
    """Answer a card: an agent's own, the deployment's, or what anybody is shown."""
    services, route = speaking.services, speaking.route
    try:
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(f"{request.method} is not possible here, use GET")
        principal = await caller(services, request.headers) if bearer_of(request.headers) is not None else None
        if not route.agent:
            facts = await services.facts.of(principal.organization_id) if principal is not None else None
            card = deployment_card(facts, speaking.base_url)
        elif principal is None:
            card = anybodys_card(route.agent[:NAME_LENGTH_MAX], speaking.base_url)
        else:
            card = agent_card(await services.a2a.agent(principal, route.agent), speaking.base_url)
        shown = plain(card)
        if principal is not None:
            shown = await signed(services, principal.organization_id, shown, base_url=speaking.base_url)
    except AosError as error:
        return problem(error, request.path)
    return json_response(200, shown, headers={"cache-control": "no-store", "vary": "authorization"})


def _agent_name(route: Route, asked: Asked) -> str:
    name: str = route.agent or getattr(asked.params, "tenant", "")
    if not name:
        raise InvalidParamsError("name the agent: speak to `/a2a/{agent}`, or send its name as `tenant`")
    return name


def _ident(body: bytes) -> Json:
    """Return the id that an error must carry where the request itself cannot be read."""
    try:
        return ident_of(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
