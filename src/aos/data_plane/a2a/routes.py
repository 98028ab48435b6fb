"""Which agent and which verb a request at the A2A door names, in either binding, and its parameters as the protocol has them.

    POST /a2a/{agent}                           JSON-RPC; at `/a2a` the parameter `tenant` names the agent
    POST /a2a/{agent}/message:send              HTTP+JSON: each verb has a path of its own
    GET  /a2a/{agent}/.well-known/agent-card.json

Parameters are read into the official library's types: a field that it does not know is passed over, as the protocol asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from a2a.types import (
    CancelTaskRequest,
    DeleteTaskPushNotificationConfigRequest,
    GetExtendedAgentCardRequest,
    GetTaskPushNotificationConfigRequest,
    GetTaskRequest,
    ListTaskPushNotificationConfigsRequest,
    ListTasksRequest,
    SendMessageRequest,
    SubscribeToTaskRequest,
    TaskPushNotificationConfig,
)
from a2a.utils.constants import VERSION_HEADER
from a2a.utils.errors import (
    InvalidParamsError,
    InvalidRequestError,
    JSONParseError,
    MethodNotFoundError,
    VersionNotSupportedError,
)
from google.protobuf.json_format import ParseDict, ParseError

from aos.data_plane.http import Request, Scope
from aos.kernel.errors import InvalidRequest, MethodNotAllowed
from aos.kernel.json import Json, depth
from aos.kernel.limits import ARGUMENTS_DEPTH_MAX, NAME_LENGTH_MAX

A2A_PATH: Final = "/a2a"
CARD_PATH: Final = "/.well-known/agent-card.json"
BODY_DEPTH_MAX: Final = ARGUMENTS_DEPTH_MAX + 8
"""How deep a body may nest: the deepest data that an agent is given, and the message around it."""
_UNSPOKEN: Final = "0.3"
"""The version of a request that names none (A2A 1.0, section 3.6.2)."""
_MISFITS: Final = (ParseError, ValueError, TypeError, AttributeError, RecursionError, OverflowError)
_BOOLEANS: Final = {"true": True, "false": False}

VERBS: Final[Mapping[str, Any]] = {
    "SendMessage": SendMessageRequest,
    "SendStreamingMessage": SendMessageRequest,
    "GetTask": GetTaskRequest,
    "ListTasks": ListTasksRequest,
    "CancelTask": CancelTaskRequest,
    "SubscribeToTask": SubscribeToTaskRequest,
    "CreateTaskPushNotificationConfig": TaskPushNotificationConfig,
    "GetTaskPushNotificationConfig": GetTaskPushNotificationConfigRequest,
    "ListTaskPushNotificationConfigs": ListTaskPushNotificationConfigsRequest,
    "DeleteTaskPushNotificationConfig": DeleteTaskPushNotificationConfigRequest,
    "GetExtendedAgentCard": GetExtendedAgentCardRequest,
}
"""Every verb with the type of its parameters."""

STREAMING: Final = frozenset({"SendStreamingMessage", "SubscribeToTask"})


@dataclass(frozen=True, slots=True)
class Route:
    """What a path names: an agent, empty where a parameter does, and the words after it; `is_card` asks for a card."""

    agent: str
    rest: tuple[str, ...] = ()
    is_card: bool = False

    @property
    def is_rpc(self) -> bool:
        """Say whether it is spoken to in JSON-RPC."""
        return not self.rest and not self.is_card


@dataclass(frozen=True, slots=True)
class Asked:
    """One verb with its parameters: as they were written, and as the protocol's type."""

    verb: str
    plain: dict[str, Json]
    params: Any
    id: Json = None


def route_of(scope: Scope) -> Route | None:
    """Return what a path names at this door, None where it is another's."""
    path = scope["raw_path"].decode("latin-1")
    if path == CARD_PATH:
        return Route("", is_card=True)
    if path != A2A_PATH and not path.startswith(A2A_PATH + "/"):
        return None
    parts = [unquote(part) for part in path.split("/")[2:]]
    while parts and not parts[-1]:
        parts.pop()
    if not parts:
        return Route("")
    if parts == CARD_PATH.split("/")[1:]:
        return Route("", is_card=True)
    return Route(parts[0], tuple(parts[1:]), is_card=parts[1:] == CARD_PATH.split("/")[1:])


def check_version(request: Request) -> None:
    """Raise VersionNotSupportedError where a request names another version than 1, or none, which stands for 0.3."""
    said = request.headers.get(VERSION_HEADER.lower()) or request.asked(VERSION_HEADER) or _UNSPOKEN
    if said.strip().partition(".")[0] != "1":
        raise VersionNotSupportedError(f"version `{said[:40]}` is not spoken here: send `{VERSION_HEADER}: 1.0`")


# --- JSON-RPC --------------------------------------------------------------------------------------------------------------


def read_rpc(request: Request) -> tuple[str, dict[str, Json], Json]:
    """Return the method, parameters and id of a JSON-RPC request; raise the protocol's error where it is none."""
    try:
        body = request.json()
    except InvalidRequest as error:
        raise JSONParseError(error.detail) from error
    if isinstance(body, list):
        raise InvalidRequestError("a batch is not read: send one request at a time")
    if not isinstance(body, dict) or body.get("jsonrpc") != "2.0":
        raise InvalidRequestError('the body must be one JSON-RPC request: an object with `"jsonrpc": "2.0"`')
    method, params = body.get("method"), body.get("params", {})
    if ident_of(body) is None:
        raise InvalidRequestError(f"`id` must be a whole number, or a string of at most {NAME_LENGTH_MAX} characters")
    if not isinstance(method, str) or not method:
        raise InvalidRequestError("`method` must be the name of a method")
    if method not in VERBS:
        raise MethodNotFoundError(f"there is no method `{method[:60]}`")
    if not isinstance(params, dict):
        raise InvalidParamsError("`params` must be an object")
    return method, params, body["id"]


def ident_of(body: Json) -> Json:
    """Return the id of a JSON-RPC request, None where it has none that can be answered."""
    value = body.get("id") if isinstance(body, dict) else None
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return value if not isinstance(value, str) or len(value) <= NAME_LENGTH_MAX else None


def read_asked(verb: str, plain: dict[str, Json], *, ident: Json = None) -> Asked:
    """Return a verb with its parameters read; raise InvalidParamsError where they do not fit."""
    if depth(plain, at_most=BODY_DEPTH_MAX) > BODY_DEPTH_MAX:
        raise InvalidParamsError(f"the parameters nest deeper than {BODY_DEPTH_MAX} levels")
    try:
        params = ParseDict(plain, VERBS[verb](), ignore_unknown_fields=True)
    except _MISFITS as error:
        raise InvalidParamsError(f"the parameters do not fit: {str(error)[:300]}") from error
    return Asked(verb, plain, params, ident)


# --- HTTP+JSON -------------------------------------------------------------------------------------------------------------


def read_rest(request: Request, rest: tuple[str, ...]) -> Asked:
    """Return the verb that a path and a method name; raise MethodNotFoundError or MethodNotAllowed."""
    match request.method, rest:
        case "POST", ("message:send",):
            return read_asked("SendMessage", _body(request))
        case "POST", ("message:stream",):
            return read_asked("SendStreamingMessage", _body(request))
        case "GET", ("tasks",):
            return read_asked("ListTasks", _query(request))
        case "GET", ("extendedAgentCard",):
            return read_asked("GetExtendedAgentCard", {})
        case "POST", ("tasks", name) if name.endswith(":cancel"):
            return read_asked("CancelTask", {**_optional(request), "id": name.removesuffix(":cancel")})
        case "GET" | "POST", ("tasks", name) if name.endswith(":subscribe"):
            return read_asked("SubscribeToTask", {"id": name.removesuffix(":subscribe")})
        case "GET", ("tasks", name):
            return read_asked("GetTask", {**_query(request), "id": name})
        case "POST", ("tasks", name, "pushNotificationConfigs"):
            return read_asked("CreateTaskPushNotificationConfig", {**_body(request), "taskId": name})
        case "GET", ("tasks", name, "pushNotificationConfigs"):
            return read_asked("ListTaskPushNotificationConfigs", {**_query(request), "taskId": name})
        case "GET", ("tasks", name, "pushNotificationConfigs", config):
            return read_asked("GetTaskPushNotificationConfig", {"taskId": name, "id": config})
        case "DELETE", ("tasks", name, "pushNotificationConfigs", config):
            return read_asked("DeleteTaskPushNotificationConfig", {"taskId": name, "id": config})
        case _:
            raise _no_path(request, rest)


def _no_path(request: Request, rest: tuple[str, ...]) -> MethodNotFoundError | MethodNotAllowed:
    if rest in (("message:send",), ("message:stream",)):
        return MethodNotAllowed(f"{request.method} is not possible here, use POST", extra={"allow": "POST"})
    if rest in (("tasks",), ("extendedAgentCard",)) or (len(rest) == 2 and rest[0] == "tasks"):
        return MethodNotAllowed(f"{request.method} is not possible here, use GET", extra={"allow": "GET"})
    return MethodNotFoundError(f"there is nothing at `{'/'.join(rest)[:100]}`")


def _body(request: Request) -> dict[str, Json]:
    try:
        return request.json_object()
    except InvalidRequest as error:
        raise InvalidRequestError(error.detail) from error


def _optional(request: Request) -> dict[str, Json]:
    return _body(request) if request.body else {}


def _query(request: Request) -> dict[str, Json]:
    """Return the parameters of a query as JSON; of a repeated one the last counts."""
    found = dict(parse_qsl(request.query_string.decode("latin-1"), keep_blank_values=True))
    return {name: _BOOLEANS.get(value, value) for name, value in found.items()}
