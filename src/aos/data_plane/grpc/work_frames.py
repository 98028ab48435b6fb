"""The frames of Work between their gRPC form and the SDK's: they mean the same, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, get_args

import msgspec

from aos.data_plane.grpc import aos_pb2
from aos.data_plane.grpc.requests import arguments_of, json_of, wrong
from aos.kernel.limits import NAME_LENGTH_MAX
from aos.kernel.workflow.passes import Continued, Failed, PassEnd, Returned, Suspended, Vanished
from aos.operations.outside_tasks import Given
from aos_sdk.frames import KEY_LENGTH_MAX, Call, CallError, CallKind, Recorded, Result
from aos_sdk.keys import arguments_digest, call_key, canonical_json

HISTORY_BYTES: Final = 1_000_000
"""Roughly how much history one message carries: well within the 4 MB that gRPC's clients read by default."""
ERROR_NAME_MAX: Final = 200
_KINDS: Final = frozenset(get_args(CallKind))
_encode = msgspec.json.Encoder().encode


def start_messages(given: Given) -> Iterator[aos_pb2.WorkResponse]:
    """Yield the messages that hand out a task: as many parts of its history as it needs, then its Start."""
    start, context = given.start, given.start.context
    part: list[aos_pb2.Recorded] = []
    size = 0
    for each in start.history:
        recorded = _recorded(each)
        if part and size + recorded.ByteSize() > HISTORY_BYTES:
            yield aos_pb2.WorkResponse(history=aos_pb2.History(task_id=start.task_id, recorded=part))
            part, size = [], 0
        part.append(recorded)
        size += recorded.ByteSize()
    yield aos_pb2.WorkResponse(
        start=aos_pb2.Start(
            task_id=start.task_id,
            token=start.token,
            input=_encode(start.input),
            deadline=given.deadline.isoformat() if given.deadline is not None else "",
            history=part,
            context=aos_pb2.Context(
                run_id=context.run_id,
                run_name=context.run_name,
                task_name=given.task.label,
                agent=context.agent,
                agent_version=context.agent_version,
                attempt=context.attempt,
                generation=context.generation,
                goal=context.goal,
                labels=context.labels,
                clock=context.clock or "",
                objectives=_encode(context.objectives),
            ),
        )
    )


def call_of(given: Given, asked: aos_pb2.Call, counts: dict[str, int]) -> Call:
    """Return a call as the SDK's frame. One without a key gets the key that the SDK would give it, the n-th of those alike."""
    if asked.kind not in _KINDS:
        raise wrong("/call/kind", f"`{asked.kind[:40]}` is no kind of call: give one of {', '.join(sorted(_KINDS))}")
    if len(asked.name) > NAME_LENGTH_MAX or len(asked.key) > KEY_LENGTH_MAX:
        raise wrong("/call/name", "or `/call/key` is longer than 200 characters")
    arguments = arguments_of(asked.arguments, "/call/arguments")
    key = asked.key
    if not key:
        alike = f"{asked.kind}:{asked.name}:{arguments_digest(canonical_json(arguments, 'the arguments'))}"
        counts[alike] = counts.get(alike, 0) + 1
        digest = alike.rpartition(":")[2]
        key = call_key(given.start.task_id, (), kind=asked.kind, name=asked.name, digest=digest, n=counts[alike])
    return Call(
        task_id=given.start.task_id,
        token=given.start.token,
        call_id=asked.call_id,
        kind=asked.kind,  # type: ignore[arg-type]
        name=asked.name,
        arguments=arguments,
        key=key,
        tries=asked.tries,
        options=arguments_of(asked.options, "/call/options"),
    )


def result_message(given: Given, result: Result) -> aos_pb2.WorkResponse:
    """Return what came of a call."""
    waiting = given.state.waits[-1].sources if result.state == "waiting" and given.state.waits else ()
    return aos_pb2.WorkResponse(
        result=aos_pb2.Result(
            task_id=result.task_id,
            call_id=result.call_id,
            state=result.state,
            value=_encode(result.value) if result.state == "performed" else b"",
            error=_error(result.error),
            seq=result.seq,
            approval_id=str(waiting[0]) if waiting else "",
        )
    )


def end_of(ended: aos_pb2.Ended) -> PassEnd:
    """Return how the agent says that its pass ended."""
    match ended.outcome:
        case aos_pb2.End.RETURNED:
            return Returned(json_of(ended.value, "/ended/value"))
        case aos_pb2.End.RAISED:
            name = ended.error.slug[:ERROR_NAME_MAX]
            detail = ended.error.detail or name or "the agent failed"
            return Failed("raised", f"{name}: {detail}" if name else detail, ended.final, name)
        case aos_pb2.End.SUSPENDED:
            return Suspended()
        case aos_pb2.End.CONTINUED:
            return Continued(json_of(ended.value, "/ended/value"))
        case aos_pb2.End.CANCELLED:
            return Vanished(counted=False)
        case _:
            raise wrong("/ended/outcome", "must say how the pass ended")


def _recorded(each: Recorded) -> aos_pb2.Recorded:
    return aos_pb2.Recorded(
        seq=each.seq,
        key=each.key,
        tries=each.tries,
        kind=each.kind,
        state=each.state,
        value=_encode(each.value),
        error=_error(each.error),
    )


def _error(error: CallError | None) -> aos_pb2.Error | None:
    if error is None:
        return None
    return aos_pb2.Error(
        slug=error.slug, detail=error.detail, reasons=error.reasons, approval_id=error.approval_id or ""
    )
