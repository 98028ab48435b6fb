"""Complete: a model request in OpenAI's chat form, its answer in as many messages as it has chunks.

The last chunk goes once the outcome is committed, as at the HTTP doors. A caller that goes away or whose deadline passes
cancels its call, which is then concluded by estimate.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from http import HTTPStatus
from typing import Final
from uuid import UUID

from aos.data_plane.grpc import aos_pb2
from aos.data_plane.grpc.binding import GrpcServices
from aos.data_plane.grpc.requests import key_of, principal_of, uuid_of
from aos.data_plane.grpc.statuses import Context
from aos.data_plane.models import refusal_of
from aos.kernel.dialects.errors import read_error
from aos.kernel.dialects.read import read_ask
from aos.kernel.dialects.values import Dialect
from aos.kernel.errors import UpstreamFailed
from aos.operations.model_acts import ModelCall
from aos.operations.model_calls import Streamed, Whole

_DATA: Final = b"data:"
_DONE: Final = b"[DONE]"
_ERROR: Final = b'{"error":'
"""How an event begins that ends a stream in place of an answer, whoever it is from."""


async def complete(
    services: GrpcServices, request: aos_pb2.CompleteRequest, context: Context
) -> AsyncIterator[aos_pb2.CompleteChunk]:
    """Ask a model; yield its answer, whole or chunk by chunk."""
    principal = await principal_of(services, context)
    call = ModelCall(
        principal,
        read_ask(Dialect.CHAT, request.body),
        request.body,
        hashlib.sha256(request.body).hexdigest(),
        idempotency_key=key_of(request.idempotency_key),
        approval_id=uuid_of(request.approval_id, "/approval_id"),
    )
    answer = await services.work.minded(call.principal, await services.models.make(call))
    if isinstance(answer, Streamed):
        await context.send_initial_metadata((("aos-action-id", str(answer.action_id)), ("aos-model", answer.model)))
        async with contextlib.aclosing(answer.parts) as parts, contextlib.aclosing(_events(parts)) as events:
            async for data in events:
                if data.startswith(_ERROR):
                    raise _failure(data, answer.action_id)
                yield aos_pb2.CompleteChunk(data=data)
        return
    if not isinstance(answer, Whole):
        raise refusal_of(answer)
    if answer.said.status >= HTTPStatus.BAD_REQUEST:
        raise UpstreamFailed(answer.reason or "the model's server refused", extra={"action_id": str(answer.action_id)})
    named = [("aos-action-id", str(answer.action_id)), ("aos-model", answer.model)]
    await context.send_initial_metadata([*named, ("aos-replayed", "true" if answer.replayed else "false")])
    yield aos_pb2.CompleteChunk(data=answer.said.body)


def _failure(data: bytes, action_id: UUID) -> UpstreamFailed:
    """Return the error that ended a stream."""
    message, *_ = read_error(data)
    return UpstreamFailed(message, extra={"action_id": str(action_id)})


async def _events(parts: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Yield the JSON of each server-sent event; parts are cut anywhere."""
    held = b""
    async for part in parts:
        *whole, held = (held + part).replace(b"\r\n", b"\n").split(b"\n\n")
        for event in whole:
            data = b"".join(line[len(_DATA) :].strip() for line in event.split(b"\n") if line.startswith(_DATA))
            if data and data != _DONE:
                yield data
