"""The doors below `/tasks`: the Work protocol for agents outside that have nothing but HTTP and JSON.

`POST /tasks/take` with the agent's own key hands out tasks and waits for the first where `wait` says so; each task has a
token. With that token as bearer, `POST /tasks/{task}/heartbeat`, `complete`, `fail` and `park` speak for the task, and every
other door takes it as well: a tool called with it is called in the task. The operations are those of the gRPC stream. Nothing
is kept here between two requests: any process may take the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

from aos.data_plane.binding import Services
from aos.data_plane.http import Receive, Request, Response, Scope, json_response, read_request, until_gone
from aos.kernel.errors import FieldError, InvalidRequest, MethodNotAllowed, NotFound, StaleClaim, Unauthenticated
from aos.kernel.json import Json
from aos.kernel.limits import LEASE_SECONDS, WAIT_SECONDS_MAX
from aos.kernel.workflow.passes import Failed, Returned, Suspended
from aos.operations.outside_tasks import Given, slots_of, wait_for_approval

PREFIX: Final = "/tasks"
ERROR_NAME_MAX: Final = 200
DETAIL_MAX: Final = 10_000


def is_work_path(path: str) -> bool:
    """Say whether a path is answered here."""
    return path.startswith(f"{PREFIX}/")


async def work_door(services: Services, scope: Scope, receive: Receive) -> Response:
    """Answer one request below `/tasks`."""
    first, _, verb = scope["path"].removeprefix(f"{PREFIX}/").partition("/")
    answer = _VERBS.get(verb) if verb else None
    if (first, verb) != ("take", "") and answer is None:
        raise NotFound(
            f"there is no door `{scope['path'][:80]}`: there are /tasks/take and /tasks/TASK/{'|'.join(_VERBS)}"
        )
    if scope["method"] != "POST":
        raise MethodNotAllowed(f"{scope['method']} is not possible here, use POST")
    request = await read_request(scope, receive)
    if answer is None:
        return await _take(services, request, receive)
    given = await services.work.held(request.bearer() or _no_token())
    if given.start.task_id != first.lower():
        raise StaleClaim(f"the token is not of task `{first[:40]}`")
    return await answer(services, given, _fields(request, verb))


def _no_token() -> str:
    raise Unauthenticated("give the task's token as `Authorization: Bearer`")


async def _take(services: Services, request: Request, receive: Receive) -> Response:
    principal = await services.authenticator.principal(request.bearer())
    fields = _fields(request, "take")
    agent = await services.work.agent_of(principal)
    most = _number(fields, "max", default=1, at_most=slots_of(agent))
    wait = _number(fields, "wait", default=0, at_most=WAIT_SECONDS_MAX, at_least=0)
    taking = asyncio.create_task(services.work.take(principal, most, wait_seconds=wait))
    gone = asyncio.create_task(until_gone(receive))
    answer = None
    try:
        await asyncio.wait([taking, gone], return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            raise InvalidRequest("the client went away before it was given a task")
        shown = {"tasks": [_shown(each) for each in taking.result()], "lease_seconds": LEASE_SECONDS}
        answer = json_response(200, shown)
        return answer
    finally:
        gone.cancel()
        taking.cancel()
        if answer is None and taking.done() and not taking.cancelled() and taking.exception() is None:
            services.work.give_back(taking.result())


def _shown(given: Given) -> dict[str, Any]:
    """Return a task as its agent gets it."""
    start, context = given.start, given.start.context
    return {
        "task_id": start.task_id,
        "token": start.token,
        "name": given.task.label,
        "input": start.input,
        "goal": context.goal,
        "run_id": context.run_id,
        "run_name": context.run_name,
        "attempt": context.attempt,
        "labels": context.labels,
        "clock": context.clock,
        "deadline": given.deadline,
        "history": [
            {"key": each.key, "kind": each.kind, "state": each.state, "value": each.value} for each in start.history
        ],
    }


async def _heartbeat(services: Services, given: Given, fields: dict[str, Json]) -> Response:
    renewed = (await services.work.renew([given])).get(given.task.id)
    if renewed is None:
        raise StaleClaim("the task was taken away, cancelled, or its time was over: let go of it")
    return json_response(200, {"lease_seconds": LEASE_SECONDS, "paused": renewed.paused})


async def _complete(services: Services, given: Given, fields: dict[str, Json]) -> Response:
    await services.work.end(given, Returned(fields.get("output")))
    return json_response(200, {"task_id": given.start.task_id, "state": "succeeded"})


async def _fail(services: Services, given: Given, fields: dict[str, Json]) -> Response:
    name, detail = _text(fields, "error", ERROR_NAME_MAX), _text(fields, "detail", DETAIL_MAX)
    told = ": ".join(part for part in (name, detail) if part) or "the agent failed"
    await services.work.end(given, Failed("raised", told, fields.get("final") is True, name))
    return json_response(200, {"task_id": given.start.task_id, "state": "failed"})


async def _park(services: Services, given: Given, fields: dict[str, Json]) -> Response:
    if approval := _text(fields, "approval_id", 60):
        try:
            wait_for_approval(given, UUID(approval))
        except ValueError as error:
            raise _wrong("approval_id", f"`{approval}` is not the id of an approval") from error
    await services.work.end(given, Suspended())
    return json_response(200, {"task_id": given.start.task_id, "state": "waiting"})


_VERBS: Final[dict[str, Callable[[Services, Given, dict[str, Json]], Awaitable[Response]]]] = {
    "heartbeat": _heartbeat,
    "complete": _complete,
    "fail": _fail,
    "park": _park,
}
_FIELDS: Final = {
    "take": {"max", "wait"},
    "heartbeat": set[str](),
    "complete": {"output"},
    "fail": {"error", "detail", "final"},
    "park": {"approval_id"},
}


def _fields(request: Request, verb: str) -> dict[str, Json]:
    """Return the body's fields; no body is an empty one, an unknown field is refused."""
    body = request.json_object() if request.body else {}
    if unknown := sorted(set(body) - _FIELDS[verb]):
        known = ", ".join(f"`{name}`" for name in sorted(_FIELDS[verb])) or "none"
        raise _wrong(unknown[0], f"unknown field `{unknown[0][:80]}`: there is {known}")
    return body


def _number(fields: dict[str, Json], name: str, *, default: int, at_most: int, at_least: int = 1) -> int:
    value = fields.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not at_least <= value <= at_most:
        raise _wrong(name, f"`{name}` is a whole number from {at_least} to {at_most}")
    return value


def _text(fields: dict[str, Json], name: str, length_max: int) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str) or len(value) > length_max:
        raise _wrong(name, f"`{name}` is a text of at most {length_max} characters")
    return value


def _wrong(name: str, detail: str) -> InvalidRequest:
    return InvalidRequest(detail, errors=[FieldError(f"/{name}", detail)])
