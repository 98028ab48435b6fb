"""A2A tasks in the protocol's own types, as clients read them and notifications carry them.

What is built here is written by the official library (`a2a.types`), so that its form is the protocol's and not ours.
"""

from __future__ import annotations

from typing import Any, Final

from a2a.types import (
    Artifact,
    Message,
    Part,
    Role,
    StreamResponse,
    Task,
    TaskArtifactUpdateEvent,
    TaskStatus,
    TaskStatusUpdateEvent,
)
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError

from aos.kernel import a2a
from aos.kernel.json import Json, canonical_json
from aos.operations.a2a_tasks import A2aTask

OUTPUT: Final = "output"
"""The one artifact of a task: what its run returned."""
JSON_TYPE: Final = "application/json"
RUN_META: Final = "aos/run-id"
APPROVAL_META: Final = "aos/approval-id"
PHASE_META: Final = "aos/phase"


def task_document(task: A2aTask, *, with_history: bool = True, with_artifacts: bool = True) -> Task:
    """Return a task whole."""
    found = Task(id=str(task.id), context_id=task.context_id, status=status_of(task))
    if with_artifacts:
        found.artifacts.extend(artifacts_of(task))
    if with_history:
        message = _sent(task)
        if message is not None:
            found.history.append(message)
    found.metadata.update(_metadata(task))
    return found


def status_of(task: A2aTask) -> TaskStatus:
    """Return where a task stands, with a sentence where the state alone does not say it."""
    status = TaskStatus(state=task.state.value)
    status.timestamp.FromDatetime(task.changed_at)
    if task.said:
        status.message.CopyFrom(
            Message(
                message_id=f"{task.id}:{task.phase}",
                context_id=task.context_id,
                task_id=str(task.id),
                role=Role.ROLE_AGENT,
                parts=[Part(text=task.said)],
            )
        )
        status.message.metadata.update(_metadata(task))
    return status


def artifacts_of(task: A2aTask) -> list[Artifact]:
    """Return what a task that succeeded came to; nothing before."""
    if task.state is not a2a.TaskState.COMPLETED:
        return []
    return [Artifact(artifact_id=OUTPUT, name=OUTPUT, parts=[part_of(task.output)])]


def part_of(value: Json) -> Part:
    """Return a value as a part: a text as text, all else as data, or as JSON's text where the protocol cannot hold it."""
    if isinstance(value, str):
        return Part(text=value, media_type="text/plain")
    try:
        part: Part = ParseDict({"data": value, "mediaType": JSON_TYPE}, Part())
    except (ParseError, ValueError, RecursionError):  # deeper than the protocol's own values may nest
        return Part(text=canonical_json(value).decode(), media_type=JSON_TYPE)
    return part


def first_event(task: A2aTask) -> StreamResponse:
    """Return what a stream begins with, and what a notification carries: the whole task."""
    return StreamResponse(task=task_document(task))


def next_events(task: A2aTask) -> list[StreamResponse]:
    """Return what a stream says of a task that stands differently than before: what it came to, then where it stands."""
    of_task: dict[str, Any] = {"task_id": str(task.id), "context_id": task.context_id}
    events = [
        StreamResponse(artifact_update=TaskArtifactUpdateEvent(artifact=artifact, last_chunk=True, **of_task))
        for artifact in artifacts_of(task)
    ]
    return [*events, StreamResponse(status_update=TaskStatusUpdateEvent(status=status_of(task), **of_task))]


def plain(message: Any) -> dict[str, Any]:
    """Return a message of the protocol as JSON (ProtoJSON)."""
    found: dict[str, Any] = MessageToDict(message)
    return found


def _metadata(task: A2aTask) -> dict[str, Any]:
    found = {PHASE_META: task.phase.value}
    if task.run_id is not None:
        found[RUN_META] = str(task.run_id)
    if task.approval_id is not None:
        found[APPROVAL_META] = str(task.approval_id)
    return found


def _sent(task: A2aTask) -> Message | None:
    """Return the message that a task began with, None where it was erased."""
    if not isinstance(task.message, dict):
        return None
    try:
        found: Message = ParseDict(dict(task.message), Message(), ignore_unknown_fields=True)
    except ParseError:
        return None
    found.task_id, found.context_id = str(task.id), task.context_id
    return found
