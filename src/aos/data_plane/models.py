"""The model doors: `/v1/*` in OpenAI's and Anthropic's dialects, in front of the gate.

A client changes its base URL and key and nothing else. Whatever is refused, here or behind, is answered in the caller's dialect;
`x-should-retry: false` keeps official clients from asking again for what may have been done. A caller that goes away cancels
its call: whole answers look for that only once they take long.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from aos.data_plane.binding import Services
from aos.data_plane.http import (
    JSON_TYPE,
    Receive,
    Response,
    Scope,
    Send,
    bearer_of,
    headers_of,
    json_response,
    read_body,
    respond,
    until_gone,
)
from aos.kernel.acts import ActionState, Pending, Recorded, Refused
from aos.kernel.dialects.errors import error_body
from aos.kernel.dialects.read import read_ask
from aos.kernel.dialects.values import Dialect
from aos.kernel.errors import (
    AosError,
    ApprovalPending,
    BudgetSpent,
    Conflict,
    Denied,
    FieldError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    OutcomeUnknown,
    Unavailable,
    UnsupportedMediaType,
    UpstreamFailed,
)
from aos.kernel.limits import MODEL_BODIES_BYTES_MAX, MODEL_BODY_BYTES_MAX, NAME_LENGTH_MAX
from aos.operations.model_acts import ModelCall
from aos.operations.model_calls import Answer, Streamed, Whole

log = logging.getLogger("aos.data_plane")

DOORS: Final[Mapping[str, Dialect]] = {
    "/v1/chat/completions": Dialect.CHAT,
    "/v1/responses": Dialect.RESPONSES,
    "/v1/embeddings": Dialect.EMBEDDINGS,
    "/v1/messages": Dialect.MESSAGES,
    "/v1/messages/count_tokens": Dialect.COUNT_TOKENS,
}
LIST_PATH: Final = "/v1/models"
PASSED_ON: Final = ("anthropic-beta",)
"""Headers that a model's server reads as part of the request."""
PASSED_ON_LENGTH_MAX: Final = 1_000
MAX_DIGITS: Final = 18
LOOK_SECONDS: Final = 0.25
"""After how long a call that is still under way looks whether its caller is."""
_EVENTS_HEADERS: Final = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]


def is_model_path(path: str) -> bool:
    """Say whether a path is answered here: all below `/v1/` is, so that a client finds its own form also where no door is."""
    return path.startswith("/v1/")


async def model_door(services: Services, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request at a model door, errors in its dialect."""
    path = scope["path"]
    headers = headers_of(scope)
    dialect = DOORS.get(path) or (Dialect.MESSAGES if "anthropic-version" in headers else Dialect.CHAT)
    started, size = False, 0
    try:
        if path in DOORS:
            size = _bodies.enter(headers)
            call = await _read(services, scope, receive, headers, dialect=dialect)
            async with _while_wanted(receive, at_once=call.asked.stream):
                answer = await services.work.minded(call.principal, await services.models.make(call))
                if isinstance(answer, Streamed):
                    started = True
                    await _stream(send, answer)
                    return
                response = _response(answer)
        elif path == LIST_PATH or path.startswith(f"{LIST_PATH}/"):
            response = await _list(services, scope, headers, dialect)
        else:
            raise NotFound(f"there is no door `{path[:200]}`; there are {', '.join(DOORS)} and {LIST_PATH}")
        await respond(send, response)
    except _Gone:
        log.info("a caller went away", extra={"path": path})
    except AosError as error:
        if not started:
            await respond(send, _refusal(dialect, error))
    except Exception:
        log.exception("request failed", extra={"path": path})
        if not started:
            await respond(send, _refusal(dialect, AosError("something broke inside; it is logged")))
    finally:
        _bodies.leave(size)


class _Bodies:
    """What the bodies of requests under way may have together: each is kept until its answer is there."""

    def __init__(self) -> None:
        self._bytes = 0

    def enter(self, headers: Mapping[str, str]) -> int:
        """Make room for a request and return how much; one that does not say its size counts as the largest."""
        said = headers.get("content-length", "")
        size = int(said) if said.isdigit() and len(said) < MAX_DIGITS else MODEL_BODY_BYTES_MAX
        size = min(size, MODEL_BODY_BYTES_MAX)  # a larger one is refused while it is read
        if self._bytes + size > MODEL_BODIES_BYTES_MAX:
            raise Unavailable("more large requests are under way than there is memory for; try again in a second")
        self._bytes += size
        return size

    def leave(self, size: int) -> None:
        """Give the room back."""
        self._bytes -= size


_bodies = _Bodies()


async def _read(
    services: Services, scope: Scope, receive: Receive, headers: Mapping[str, str], *, dialect: Dialect
) -> ModelCall:
    if scope["method"] != "POST":
        raise MethodNotAllowed(f"{scope['method']} is not possible here, use POST")
    principal = await services.authenticator.principal(bearer_of(headers), organization=headers.get("aos-organization"))
    kind = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise UnsupportedMediaType(f"the body is `{kind[:80]}`, send `application/json`")
    body = await read_body(scope, receive, at_most=MODEL_BODY_BYTES_MAX)
    asked = read_ask(dialect, body)
    services.loops.end(principal)
    passed_on = _passed_on(headers)
    return ModelCall(
        principal,
        asked,
        body,
        _digest(body, passed_on),
        idempotency_key=_key(headers),
        approval_id=_approval(headers),
        headers=passed_on,
    )


def _passed_on(headers: Mapping[str, str]) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers that belong to the question and not to the connection or its key."""
    return tuple((name.encode(), headers[name].encode()) for name in PASSED_ON if _plain(headers.get(name)))


def _digest(body: bytes, passed_on: Sequence[tuple[bytes, bytes]]) -> str:
    """Return what tells one request from another, in hexadecimal: of its body, and of the headers that belong to the question."""
    digest = hashlib.sha256(body)
    for name, value in passed_on:
        digest.update(b"\0%b\0%b" % (name, value))  # no NUL stands in JSON: none of this is ever a part of a body
    return digest.hexdigest()


def _plain(value: str | None) -> bool:
    return value is not None and value.isascii() and value.isprintable() and len(value) <= PASSED_ON_LENGTH_MAX


def _key(headers: Mapping[str, str]) -> str | None:
    key = headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= NAME_LENGTH_MAX and key.isprintable()):
        raise InvalidRequest(f"Idempotency-Key must have 1 to {NAME_LENGTH_MAX} printable characters")
    return key


def _approval(headers: Mapping[str, str]) -> UUID | None:
    text = headers.get("aos-approval-id")
    try:
        return None if text is None else UUID(text)
    except ValueError as error:
        raise InvalidRequest(f"AOS-Approval-Id `{text[:60] if text else ''}` is not the id of an approval") from error


def _response(answer: Answer) -> Response:
    """Return the response of a whole answer; raise what stands instead of it."""
    match answer:
        case Whole():
            extra = [(b"aos-action-id", str(answer.action_id).encode())]
            if answer.model:
                extra.append((b"aos-model", answer.model.encode()))
            if answer.replayed:
                extra.append((b"idempotency-replayed", b"true"))
            extra += [(name.encode(), value.encode("latin-1")) for name, value in answer.headers]
            said = answer.said
            media_type = JSON_TYPE if said.media_type == "application/json" else said.media_type.encode()
            return Response(said.status, said.body, media_type, tuple(extra))
        case Pending() | Refused() | Recorded():
            raise refusal_of(answer)
        case Streamed():
            raise AssertionError("streams are sent as they come")


def refusal_of(answer: Pending | Refused | Recorded) -> AosError:
    """Return the error of a model request that was not answered."""
    match answer:
        case Pending():
            named = {"action_id": str(answer.action_id), "approval_id": str(answer.approval_id)}
            detail = f"waits for a person's yes (approval {answer.approval_id}): {answer.reason}"
            return ApprovalPending(detail, extra=named)
        case Refused():
            kind = BudgetSpent if answer.error == "budget-spent" else Denied
            return kind(answer.detail, reasons=answer.reasons, extra={"action_id": str(answer.action_id)})
        case Recorded():
            return _recorded(answer)


def _recorded(answer: Recorded) -> AosError:
    """Return the error of what is recorded of the same request and cannot be given again."""
    named = {"action_id": str(answer.action_id), "replayed": answer.replayed}
    match answer.state:
        case ActionState.UNKNOWN:
            detail = (
                "this request was sent before and its outcome is not known; it is not sent again under the same key"
            )
            return OutcomeUnknown(detail, extra=named)
        case ActionState.REFUSED:
            kind = BudgetSpent if answer.error == "budget-spent" else Denied
            return kind(answer.detail, reasons=answer.reasons, extra=named)
        case ActionState.PERFORMED:
            return Conflict("this request was answered before, and its answer was too large to be kept", extra=named)
        case _:
            return UpstreamFailed(answer.detail or "the model's server failed", extra=named)


def _refusal(dialect: Dialect, error: AosError) -> Response:
    status, body = error_body(dialect, error)
    headers: list[tuple[bytes, bytes]] = []
    if error.retryable:
        headers.append((b"retry-after", str(error.extra.get("retry_after_seconds", 1)).encode()))
    if not error.retryable or "action_id" in error.extra:
        headers.append((b"x-should-retry", b"false"))
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if "action_id" in error.extra:
        headers.append((b"aos-action-id", str(error.extra["action_id"]).encode()))
    if error.extra.get("replayed"):
        headers.append((b"idempotency-replayed", b"true"))
    return Response(status, body, JSON_TYPE, tuple(headers))


async def _stream(send: Send, answer: Streamed) -> None:
    headers = [
        *_EVENTS_HEADERS,
        (b"aos-action-id", str(answer.action_id).encode()),
        (b"aos-model", answer.model.encode()),
    ]
    async with contextlib.aclosing(answer.parts) as parts:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


class _Gone(Exception):
    """The caller went away."""


@asynccontextmanager
async def _while_wanted(receive: Receive, *, at_once: bool) -> AsyncIterator[None]:
    """Cancel what is inside once the caller is gone, and raise `_Gone` for it."""
    task = asyncio.current_task()
    assert task is not None
    watching: asyncio.Task[None] | None = None
    gone = False

    async def watch() -> None:
        nonlocal gone
        await until_gone(receive)
        gone = True
        task.cancel()

    def begin() -> None:
        nonlocal watching
        watching = asyncio.create_task(watch())

    loop = asyncio.get_running_loop()
    later = loop.call_later(0 if at_once else LOOK_SECONDS, begin)
    try:
        yield
    except asyncio.CancelledError:
        if gone and task.uncancel() == 0:
            raise _Gone from None
        raise
    finally:
        later.cancel()
        if watching is not None:
            watching.cancel()


async def _list(services: Services, scope: Scope, headers: Mapping[str, str], dialect: Dialect) -> Response:
    """Answer `GET /v1/models`: the models and purposes that the caller may ask."""
    if scope["method"] != "GET":
        raise MethodNotAllowed(f"{scope['method']} is not possible here, use GET")
    principal = await services.authenticator.principal(bearer_of(headers), organization=headers.get("aos-organization"))
    names = await services.models.names(principal)
    one = scope["path"].removeprefix(LIST_PATH).lstrip("/")
    if one and one not in names:
        detail = f"there is no model `{one[:80]}` that you may ask"
        raise NotFound(detail, errors=[FieldError("/model", detail)])
    if dialect is Dialect.MESSAGES:
        items = [
            {"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"} for name in names
        ]
        page = {"data": items, "has_more": False, "first_id": names[0] if names else None}
        page["last_id"] = names[-1] if names else None
        return json_response(200, items[names.index(one)] if one else page)
    listed = [{"id": name, "object": "model", "created": 0, "owned_by": "aos"} for name in names]
    return json_response(200, listed[names.index(one)] if one else {"object": "list", "data": listed})
