"""What goes wrong at the A2A door, in the protocol's own errors: JSON-RPC's, and those of HTTP+JSON (AIP-193).

The errors and their codes are the official library's. An error that is the door's and not the protocol's (who asks is not
known, a budget is spent, the database is away) keeps its HTTP status, with the problem's slug as its reason.
"""

from __future__ import annotations

from typing import Any, Final

from a2a.utils.error_handlers import build_error_details
from a2a.utils.errors import (
    A2A_ERROR_MAPPING,
    JSON_RPC_ERROR_CODE_MAP,
    A2AError,
    ContentTypeNotSupportedError,
    InvalidParamsError,
    TaskNotCancelableError,
    TaskNotFoundError,
    UnsupportedOperationError,
)

from aos.data_plane.http import Response, json_response, problem_document
from aos.kernel.errors import (
    AosError,
    Conflict,
    IdempotencyMismatch,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    UnsupportedMediaType,
)
from aos.kernel.json import Json

DOMAIN: Final = "aos"
A2A_JSON: Final = b"application/a2a+json"
_INTERNAL, _INVALID = -32603, -32600


def fault_of(error: AosError, verb: str) -> A2AError | AosError:
    """Return the protocol's error for one that came up while a verb was answered, or the error itself."""
    match error:
        case NotFound():
            return TaskNotFoundError(error.detail)
        case Conflict():
            kind = TaskNotCancelableError if verb == "CancelTask" else UnsupportedOperationError
            return kind(error.detail)
        case UnsupportedMediaType():
            return ContentTypeNotSupportedError(error.detail)
        case InvalidRequest() | IdempotencyMismatch():
            errors = [{"field": each.pointer, "message": each.detail} for each in error.errors]
            return InvalidParamsError(error.detail, data={"errors": errors} if errors else None)
        case _:
            return error


def rpc_error(error: A2AError | AosError, ident: Json, path: str) -> Response:
    """Return an error as JSON-RPC has it."""
    if isinstance(error, A2AError):
        code = JSON_RPC_ERROR_CODE_MAP.get(type(error), _INTERNAL)
        told: dict[str, Any] = {"code": code, "message": error.message, "data": build_error_details(error)}
        return json_response(200, {"jsonrpc": "2.0", "id": ident, "error": told})
    code = _INTERNAL if error.status >= 500 else _INVALID
    told = {"code": code, "message": error.detail, "data": [_info(error), problem_document(error, path)]}
    document = {"jsonrpc": "2.0", "id": ident, "error": told}
    return json_response(error.status, document, headers=_headers(error))


def rest_error(error: A2AError | AosError, path: str) -> Response:
    """Return an error as HTTP+JSON has it."""
    if isinstance(error, A2AError):
        mapped = A2A_ERROR_MAPPING[type(error)]
        return _status(mapped.http_code, mapped.grpc_status, error.message, details=build_error_details(error))
    details = [_info(error), {"@type": "type.googleapis.com/google.protobuf.Struct", **problem_document(error, path)}]
    return _status(error.status, error.grpc, error.detail, details=details, headers=_headers(error))


def _status(
    status: int, name: str, message: str, *, details: list[dict[str, Any]], headers: dict[str, str] | None = None
) -> Response:
    error = {"code": status, "status": name, "message": message, "details": details}
    return json_response(status, {"error": error}, headers=headers)


def _info(error: AosError) -> dict[str, Any]:
    """Return what a program reads of an error of the door's (google.rpc.ErrorInfo)."""
    metadata = {name: str(value) for name, value in error.extra.items()}
    if error.reasons:
        metadata["reasons"] = "; ".join(error.reasons)
    return {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": error.slug.upper().replace("-", "_"),
        "domain": DOMAIN,
        "metadata": metadata,
    }


def _headers(error: AosError) -> dict[str, str]:
    if error.status == 401:
        return {"www-authenticate": "Bearer"}
    if isinstance(error, MethodNotAllowed):
        return {"allow": str(error.extra.get("allow", "POST"))}
    return {"retry-after": str(error.extra.get("retry_after_seconds", 1))} if error.retryable else {}
