"""Errors as gRPC tells them: a status code of the table, and google.rpc details beside it.

ErrorInfo carries the problem: its slug in capitals as the reason, domain `aos`, and what a caller acts on as metadata
(`slug`, `title`, `approval_id`, `action_id`, `reasons` as a JSON list). BadRequest names wrong fields, RetryInfo says when
the same call may succeed. Trailers have room for some 8 kB: what is longer is left out and counted, never cut in two.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, NoReturn, TypeAlias, TypeVar

import grpc
import msgspec
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc.aio import ServicerContext

from aos.kernel.errors import AosError

log = logging.getLogger("aos.data_plane")

Context: TypeAlias = ServicerContext[Any, Any]
DOMAIN: Final = "aos"
DETAIL_CHARACTERS_MAX: Final = 2_000
REASONS_BYTES_MAX: Final = 2_000
FIELDS_MAX: Final = 10
DETAILS_KEY: Final = "grpc-status-details-bin"

R = TypeVar("R")


def code_of(error: AosError) -> grpc.StatusCode:
    """Return the status code that the table gives an error."""
    return grpc.StatusCode[error.grpc]


def status_of(error: AosError) -> status_pb2.Status:
    """Return an error as google.rpc.Status."""
    message = error.detail
    if len(message) > DETAIL_CHARACTERS_MAX:
        message = f"{error.title}; the detail has {len(message)} characters, which no trailer holds"
    status = status_pb2.Status(code=int(code_of(error).value[0]), message=message)
    info = error_details_pb2.ErrorInfo(reason=error.slug.replace("-", "_").upper(), domain=DOMAIN)
    info.metadata.update({"slug": error.slug, "title": error.title})
    info.metadata.update({name: str(value) for name, value in error.extra.items() if isinstance(value, str | int)})
    if error.reasons:
        info.metadata.update(_reasons(error))
    status.details.add().Pack(info)
    if error.errors:
        wrong = error_details_pb2.BadRequest()
        for each in error.errors[:FIELDS_MAX]:
            wrong.field_violations.add(field=each.pointer, description=each.detail[:200])
        status.details.add().Pack(wrong)
    if error.retryable:
        seconds = error.extra.get("retry_after_seconds", 1)
        delay = Duration(seconds=seconds if isinstance(seconds, int) else 1)
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return status


def _reasons(error: AosError) -> dict[str, str]:
    kept: list[str] = []
    size = 0
    for reason in error.reasons:
        size += len(reason.encode())
        if size > REASONS_BYTES_MAX:
            break
        kept.append(reason)
    found = {"reasons": msgspec.json.encode(kept).decode()}
    if len(kept) < len(error.reasons):
        found["reasons_left_out"] = str(len(error.reasons) - len(kept))
    return found


async def refuse(context: Context, error: AosError) -> NoReturn:
    """End a call with an error."""
    status = status_of(error)
    await context.abort(code_of(error), status.message, ((DETAILS_KEY, status.SerializeToString()),))
    raise AssertionError("an aborted call does not go on")


async def guarded(context: Context, work: Callable[[], Awaitable[R]]) -> R:
    """Return what `work` returns; an error of AOS ends the call as its status, any other is logged and says nothing inside."""
    try:
        return await work()
    except AosError as error:
        await refuse(context, error)
    except grpc.aio.AbortError:
        raise
    except Exception:
        log.exception("a gRPC call failed")
        await refuse(context, AosError("something broke inside; it is logged"))


async def guarded_stream(context: Context, messages: AsyncIterator[R]) -> AsyncIterator[R]:
    """Yield what a stream yields, guarded as a single answer is."""
    try:
        async for message in messages:
            yield message
    except AosError as error:
        await refuse(context, error)
    except grpc.aio.AbortError:
        raise
    except Exception:
        log.exception("a gRPC stream failed")
        await refuse(context, AosError("something broke inside; it is logged"))
