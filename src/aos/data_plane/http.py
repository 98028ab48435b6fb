"""Requests and responses of the doors: bounded bodies, strict JSON, problems in RFC 9457's form.

Nothing here knows an operation. A body over the limit is refused while it arrives, whatever Content-Length said.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

import msgspec

from aos.kernel.errors import AosError, InvalidRequest, TooLarge, UnsupportedMediaType
from aos.kernel.json import Json
from aos.kernel.limits import BODY_BYTES_MAX
from aos.kernel.misfits import misfit_text

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
JSON_TYPE = b"application/json"
PROBLEM_TYPE = b"application/problem+json"


@dataclass(frozen=True, slots=True)
class Request:
    """One request with its body read. Header names are lower case."""

    method: str
    path: str
    query_string: bytes
    headers: Mapping[str, str]
    body: bytes

    def asked(self, name: str) -> str | None:
        """Return the last value of a parameter of the query, None where there is none."""
        found = [
            value
            for each, value in parse_qsl(self.query_string.decode("latin-1"), keep_blank_values=True)
            if each == name
        ]
        return found[-1] if found else None

    def json(self) -> Json:
        """Return the body as JSON; raise InvalidRequest or UnsupportedMediaType saying what is wrong."""
        kind = self.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if kind != "application/json" and not kind.endswith("+json"):
            raise UnsupportedMediaType(f"the body is `{kind[:80]}`, send `application/json`")
        if not self.body:
            raise InvalidRequest("the body is empty, send a JSON object")
        try:
            self.body.decode("utf-8")
            value: Json = _decode(self.body)
        except UnicodeDecodeError as error:
            raise InvalidRequest(f"the body is not valid UTF-8 at byte {error.start}") from error
        except msgspec.DecodeError as error:
            raise InvalidRequest(f"the body is not valid JSON: {misfit_text(error)}") from error
        except RecursionError as error:
            raise InvalidRequest("the body nests too deeply") from error
        return value

    def json_object(self) -> dict[str, Json]:
        """Return the body as a JSON object; raise InvalidRequest where it is another value."""
        value = self.json()
        if not isinstance(value, dict):
            raise InvalidRequest("the body must be a JSON object")
        return value

    def bearer(self) -> str | None:
        """Return the token of `Authorization: Bearer` or `x-api-key`; None where there is neither."""
        return bearer_of(self.headers)


@dataclass(frozen=True, slots=True)
class Response:
    """One response with its whole body."""

    status: int
    body: bytes = b""
    media_type: bytes = JSON_TYPE
    headers: tuple[tuple[bytes, bytes], ...] = field(default=())


def json_response(status: int, value: object, *, headers: Mapping[str, str] | None = None) -> Response:
    """Return `value` as a JSON response."""
    extra = tuple((name.lower().encode("latin-1"), text.encode("latin-1")) for name, text in (headers or {}).items())
    return Response(status, _encode(value), headers=extra)


def problem(error: AosError, instance: str, *, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Response:
    """Return an error as `application/problem+json` (RFC 9457)."""
    document = problem_document(error, instance)
    if error.status == 401:
        headers = (*headers, (b"www-authenticate", b"Bearer"))
    if error.retryable:
        headers = (*headers, (b"retry-after", str(document["retry_after_seconds"]).encode("ascii")))
    return Response(error.status, _encode(document), PROBLEM_TYPE, headers)


def problem_document(error: AosError, instance: str) -> dict[str, object]:
    """Return the members of an error's problem (RFC 9457)."""
    document: dict[str, object] = {
        "type": f"urn:aos:problem:{error.slug}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": instance,
        **error.extra,
    }
    if error.errors:
        document["errors"] = [{"pointer": each.pointer, "detail": each.detail} for each in error.errors]
    if error.reasons:
        document["reasons"] = list(error.reasons)
    if error.retryable:
        document.setdefault("retry_after_seconds", 1)
    return document


def headers_of(scope: Scope) -> dict[str, str]:
    """Return a request's headers by lower-case name; the last of a repeated one counts."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def bearer_of(headers: Mapping[str, str]) -> str | None:
    """Return the token of `Authorization: Bearer` or `x-api-key`; None where there is neither."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    return headers.get("x-api-key")


async def read_request(scope: Scope, receive: Receive) -> Request:
    """Read a request and its body; raise TooLarge as soon as the body passes the limit."""
    headers = headers_of(scope)
    body = await read_body(scope, receive)
    return Request(scope["method"], scope["path"], scope["query_string"], headers, body)


async def read_body(scope: Scope, receive: Receive, *, at_most: int = BODY_BYTES_MAX) -> bytes:
    """Read a request's body; raise TooLarge as soon as it passes the limit, at once where its length says so."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value[:20]) > at_most:
            raise TooLarge(f"the body has {int(value[:20])} bytes, at most {at_most} are read")
    chunks, size = [], 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidRequest("the client went away before its body was complete")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > at_most:
            raise TooLarge(f"the body is over {at_most} bytes")
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)


async def until_gone(receive: Receive) -> None:
    """Return when the client has gone away, or has its whole answer."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def respond(send: Send, response: Response) -> None:
    """Send a whole response."""
    headers = [
        (b"content-type", response.media_type),
        (b"content-length", str(len(response.body)).encode("ascii")),
        *response.headers,
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
