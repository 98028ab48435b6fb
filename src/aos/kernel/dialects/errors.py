"""Refusals and failures in the form of each dialect, with the sentence a person reads and the problem beside it.

Official clients decide by status and `type`; agents by `code` and by `aos`, which is the same problem that REST answers
with (RFC 9457). An act that waits for a person is 403 `approval_pending`: clients crash on a 202 and send a 429 again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from aos.kernel.dialects.values import Dialect
from aos.kernel.errors import AosError, Denied, NotFound
from aos.kernel.json import Json

ERROR_TEXT_MAX: Final = 2_000
"""Characters of an upstream's error that are handed on where it was not JSON."""

_OPENAI_TYPES: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_denied",
    404: "invalid_request_error",
    409: "conflict_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "service_unavailable_error",
    529: "service_unavailable_error",
    504: "timeout_error",
}
_ANTHROPIC_TYPES: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    415: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    529: "overloaded_error",
    504: "timeout_error",
}
_CODES: Final[Mapping[str, str]] = {
    "denied": "policy_denied",
    "unauthenticated": "invalid_api_key",
    "rate-limited": "rate_limit_exceeded",
}


def error_type(dialect: Dialect, status: int) -> str:
    """Return the word that a dialect has for errors of a status."""
    if _is_anthropic(dialect):
        return _ANTHROPIC_TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    return _OPENAI_TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")


def error_body(dialect: Dialect, error: AosError) -> tuple[int, bytes]:
    """Return the status and the body of a refusal or failure of ours; the status is the error's own."""
    return error.status, msgspec.json.encode(_document(dialect, error))


def error_event(dialect: Dialect, error: AosError) -> bytes:
    """Return a failure of ours as an event of a stream that has begun; the stream ends after it."""
    document = _document(dialect, error)
    return _event(dialect, document)


def translate_error(status: int, body: bytes, upstream: Dialect, client: Dialect) -> bytes:
    """Return the body of an upstream's error in the client's dialect, to be sent with the same status.

    Where the client speaks the upstream's language the bytes are the upstream's own. What is not JSON (a proxy's page) is
    handed on as text, shortened.
    """
    if _is_anthropic(upstream) == _is_anthropic(client) and _is_document(body):
        return body
    message, kind, code, param = read_error(body)
    return msgspec.json.encode(_upstream_document(client, status, message, kind, code, param))


def translate_error_event(body: bytes, client: Dialect) -> bytes:
    """Return an upstream's error in mid-stream, whose `data` was `body`, as an event of the client's dialect."""
    message, kind, code, param = read_error(body)
    status = next((status for status, word in _ANTHROPIC_TYPES.items() if word == kind), 500)
    return _event(client, _upstream_document(client, status, message, kind, code, param))


def read_error(body: bytes) -> tuple[str, str, str, str]:
    """Return message, type, code and parameter of an upstream's error in any form that is met; empty what it lacks."""
    try:
        read: Json = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        read = None
    inner = read.get("error", read) if isinstance(read, dict) else read
    if isinstance(inner, str) and inner:
        return inner, "", "", ""
    if not isinstance(inner, dict):
        text = body.decode("utf-8", "replace").strip()
        return text[:ERROR_TEXT_MAX] or "the model's server gave no reason", "", "", ""
    message = inner.get("message") or inner.get("detail")
    texts = [inner.get(name) for name in ("type", "code", "param")]
    kind, code, param = (str(text) if isinstance(text, str | int) else "" for text in texts)
    if not isinstance(message, str):
        message = msgspec.json.encode(inner).decode("utf-8")[:ERROR_TEXT_MAX]
    return message, kind, code, param


def _is_anthropic(dialect: Dialect) -> bool:
    return dialect in (Dialect.MESSAGES, Dialect.COUNT_TOKENS)


def _is_document(body: bytes) -> bool:
    try:
        read = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return "error" in read and bytes(read["error"]).startswith(b"{")


def _document(dialect: Dialect, error: AosError) -> dict[str, object]:
    problem: dict[str, object] = {
        "type": f"urn:aos:problem:{error.slug}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        **error.extra,
    }
    if error.errors:
        problem["errors"] = [{"pointer": each.pointer, "detail": each.detail} for each in error.errors]
    if error.reasons:
        problem["reasons"] = list(error.reasons)
    if error.retryable:
        problem.setdefault("retry_after_seconds", 1)
    kind = error_type(dialect, error.status)
    if _is_anthropic(dialect):
        return {"type": "error", "error": {"type": kind, "message": error.detail}, "aos": problem}
    param = error.errors[0].pointer[1:].replace("/", ".") if error.errors else ""
    return {
        "error": {
            "message": error.detail,
            "type": kind,
            "code": _code(error),
            "param": param or None,
            "aos": problem,
        }
    }


def _code(error: AosError) -> str:
    if isinstance(error, Denied) and "approval_id" in error.extra:
        return "approval_pending"
    if isinstance(error, NotFound) and any(each.pointer == "/model" for each in error.errors):
        return "model_not_found"
    return _CODES.get(error.slug, error.slug.replace("-", "_"))


def _upstream_document(
    client: Dialect, status: int, message: str, kind: str, code: str, param: str
) -> dict[str, object]:
    word = error_type(client, status)
    if _is_anthropic(client):
        return {"type": "error", "error": {"type": word, "message": message}}
    return {"error": {"message": message, "type": word, "code": code or kind or None, "param": param or None}}


def _event(dialect: Dialect, document: dict[str, object]) -> bytes:
    """Return an error's document as an event; responses has an event of its own, whose fields stand at its top."""
    if _is_anthropic(dialect):
        return b"event: error\ndata: " + msgspec.json.encode(document) + b"\n\n"
    if dialect is Dialect.RESPONSES:
        inner = document["error"]
        fields = dict(inner) if isinstance(inner, dict) else {}
        fields = {"type": "error", **{name: fields[name] for name in fields if name != "type"}, "sequence_number": 0}
        return b"event: error\ndata: " + msgspec.json.encode(fields) + b"\n\n"
    return b"data: " + msgspec.json.encode(document) + b"\n\n"
