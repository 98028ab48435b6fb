"""JSON-RPC 2.0 as MCP uses it: reading one message, and writing its answer or its error.

One message a request: batches are refused, as every revision since 2025-06-18 has it. The shapes of parameters are those of
the official package; what is wrong with them is named by its place and never repeated whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec
from mcp_types.jsonrpc import (
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    UNSUPPORTED_PROTOCOL_VERSION,
)
from pydantic import ValidationError

from aos.data_plane.http import Request, Response, json_response, problem_document
from aos.kernel.errors import AosError, FieldError, InvalidRequest
from aos.kernel.json import Json
from aos.kernel.limits import NAME_LENGTH_MAX

MCP_PATH: Final = "/mcp"
_STATUS: Final = {
    PARSE_ERROR: 400,
    INVALID_REQUEST: 400,
    INVALID_PARAMS: 400,
    HEADER_MISMATCH: 400,
    UNSUPPORTED_PROTOCOL_VERSION: 400,
    METHOD_NOT_FOUND: 404,
}
"""The HTTP status of an error since 2026-07-28 (Streamable HTTP, "Sending Messages")."""
_WRONG_FIELDS_MAX: Final = 5


class Fault(Exception):
    """An error of the protocol's own: its code, a sentence, and what a program reads of it."""

    def __init__(self, code: int, message: str, *, data: object = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


@dataclass(frozen=True, slots=True)
class Message:
    """One request, or one notification where `is_notification`; `method` is empty for an answer of the client's."""

    method: str
    params: dict[str, Any]
    id: str | int | None = None
    is_notification: bool = False


def read_message(request: Request) -> Message:
    """Return the message of a request's body; raise Fault, or UnsupportedMediaType for what is not JSON."""
    try:
        body = request.json()
    except InvalidRequest as error:
        raise Fault(PARSE_ERROR, error.detail) from error
    if isinstance(body, list):
        raise Fault(INVALID_REQUEST, "a batch is not read: send one message in each request")
    if not isinstance(body, dict) or body.get("jsonrpc") != "2.0":
        raise Fault(INVALID_REQUEST, 'the body must be one JSON-RPC message: an object with `"jsonrpc": "2.0"`')
    method, params, ident = body.get("method"), body.get("params", {}), body.get("id")
    if "id" in body and (isinstance(ident, bool) or not isinstance(ident, str | int)):
        raise Fault(INVALID_REQUEST, "`id` must be a string or a whole number")
    if isinstance(ident, str) and len(ident) > NAME_LENGTH_MAX:
        raise Fault(INVALID_REQUEST, f"`id` is longer than {NAME_LENGTH_MAX} characters")
    if method is None and "id" in body and ("result" in body or "error" in body):
        return Message("", {}, _ident(ident), is_notification=True)
    if not isinstance(method, str) or not method:
        raise Fault(INVALID_REQUEST, "`method` must be the name of a method")
    if not isinstance(params, dict):
        raise Fault(INVALID_REQUEST, "`params` must be an object")
    return Message(method, params, _ident(ident), is_notification="id" not in body)


def id_of(request: Request) -> str | int | None:
    """Return the id that an error must carry where the message itself cannot be read, None where there is none."""
    try:
        body = msgspec.json.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return _ident(body.get("id")) if isinstance(body, dict) else None


def _ident(value: Json) -> str | int | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return value if not isinstance(value, str) or len(value) <= NAME_LENGTH_MAX else None


def answer(message: Message, result: dict[str, Any], *, headers: dict[str, str] | None = None) -> Response:
    """Return the response that carries a result."""
    return json_response(200, {"jsonrpc": "2.0", "id": message.id, "result": result}, headers=headers)


def fault_response(fault: Fault, ident: str | int | None, *, stateless: bool) -> Response:
    """Return the response that carries an error; before 2026-07-28 only what cannot be read at all is not 200."""
    unread = fault.code in (PARSE_ERROR, INVALID_REQUEST, UNSUPPORTED_PROTOCOL_VERSION)
    status = _STATUS.get(fault.code, 200) if stateless or unread else 200
    return json_response(status, _error(fault.code, fault.message, ident, data=fault.data))


def error_response(error: AosError, ident: str | int | None, *, headers: dict[str, str]) -> Response:
    """Return the response of an error that is the door's, not the protocol's: its problem stands in `data`."""
    document = problem_document(error, MCP_PATH)
    if error.retryable:
        headers = {**headers, "retry-after": str(document["retry_after_seconds"])}
    code = INTERNAL_ERROR if error.status >= 500 else INVALID_REQUEST
    return json_response(error.status, _error(code, error.detail, ident, data=document), headers=headers)


def wrong_params(error: ValidationError) -> Fault:
    """Return the error of parameters that do not have the shape of their method's."""
    wrong = [
        FieldError("/params/" + "/".join(str(part) for part in each["loc"][1:])[:NAME_LENGTH_MAX], each["msg"])
        for each in error.errors(include_url=False, include_context=False, include_input=False)[:_WRONG_FIELDS_MAX]
    ]
    told = "; ".join(f"`{each.pointer}`: {each.detail}" for each in wrong)
    data = {"errors": [{"pointer": each.pointer, "detail": each.detail} for each in wrong]}
    return Fault(INVALID_PARAMS, f"the parameters do not fit: {told}", data=data)


def _error(code: int, message: str, ident: str | int | None, *, data: object) -> dict[str, object]:
    error: dict[str, object] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return {"jsonrpc": "2.0", "id": ident, "error": error}
