"""The verbs of A2A, each an act or a reading of the caller's: what `operations` answers, in the protocol's types."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final
from uuid import UUID

from a2a.types import ListTaskPushNotificationConfigsResponse, ListTasksResponse, SendMessageResponse, TaskState
from a2a.utils.constants import DEFAULT_LIST_TASKS_PAGE_SIZE, MAX_LIST_TASKS_PAGE_SIZE
from a2a.utils.errors import InvalidParamsError, UnsupportedOperationError
from google.protobuf.json_format import MessageToDict

from aos.data_plane.a2a.cards import agent_card, signed
from aos.data_plane.a2a.routes import Asked
from aos.data_plane.a2a.watching import changes
from aos.data_plane.binding import Services
from aos.data_plane.http import Receive, until_gone
from aos.kernel import a2a
from aos.kernel.a2a import TERMINAL, is_answered
from aos.kernel.agents import Agent
from aos.kernel.identity import Principal
from aos.kernel.limits import WAIT_SECONDS_MAX
from aos.operations.a2a_documents import plain, task_document
from aos.operations.a2a_messages import read_incoming, task_id_of
from aos.operations.a2a_pushes import read_push
from aos.operations.a2a_tasks import A2aTask

BLOCK_SECONDS: Final = float(WAIT_SECONDS_MAX)
"""How long an answer waits for a task before it shows it as it stands."""
_BEFORE: Final = "before:"
"""What a page's token begins with; the last shown task's id follows."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One verb of a known caller at an agent; `base_url` is the address under which the caller reaches this server."""

    services: Services
    principal: Principal
    agent: Agent
    asked: Asked
    base_url: str
    receive: Receive

    async def find(self, task_id: UUID) -> A2aTask:
        """Return a task of the caller's; raise NotFound."""
        return await self.services.a2a.find(self.principal, self.agent, task_id)


async def answer(turn: Turn) -> dict[str, Any]:
    """Answer a verb that is no stream; raise the protocol's error, or one of AOS."""
    match turn.asked.verb:
        case "SendMessage":
            return await _send_message(turn)
        case "GetTask":
            return _shown(await turn.find(_id(turn.asked.params.id)), turn)
        case "ListTasks":
            return await _list_tasks(turn)
        case "CancelTask":
            task = await turn.services.a2a.cancel(turn.principal, turn.agent, _id(turn.asked.params.id))
            return plain(task_document(task))
        case "GetExtendedAgentCard":
            card = plain(agent_card(turn.agent, turn.base_url))
            return await signed(turn.services, turn.principal.organization_id, card, base_url=turn.base_url)
        case _:
            return await _push_config(turn)


async def open_stream(turn: Turn) -> A2aTask:
    """Return the task that a stream begins with."""
    if turn.asked.verb == "SendStreamingMessage":
        return await _sent(turn)
    task = await turn.find(_id(turn.asked.params.id))
    if task.state in TERMINAL:
        raise UnsupportedOperationError(f"task `{task.id}` has ended: it is {task.phase}, ask for it with GetTask")
    return task


async def _sent(turn: Turn) -> A2aTask:
    """Take the message of a request, and where to tell of what becomes of it."""
    params, sent = turn.asked.params, turn.asked.plain
    incoming = read_incoming({"message": sent.get("message"), "metadata": sent.get("metadata")})
    push = None
    if params.configuration.HasField("task_push_notification_config"):
        push = read_push(plain(params.configuration.task_push_notification_config))
        await turn.services.a2a_pushes.check(turn.principal, push)
    task = await turn.services.a2a.send(turn.principal, turn.agent, incoming)
    if push is not None:
        await turn.services.a2a_pushes.save(turn.principal, task, push)
    return task


async def _send_message(turn: Turn) -> dict[str, Any]:
    task = await _sent(turn)
    if not turn.asked.params.configuration.return_immediately and not is_answered(task.phase):
        task = await _settled(turn, task)
    return plain(SendMessageResponse(task=_document(task, turn.asked.params.configuration)))


async def _settled(turn: Turn, task: A2aTask) -> A2aTask:
    """Return the task once it has ended or waits for somebody, or as it stands after the longest wait."""
    gone = asyncio.create_task(until_gone(turn.receive))
    try:
        watched = changes(turn.services, task, lambda: turn.find(task.id), gone=gone, seconds=BLOCK_SECONDS)
        async for found in watched:
            if found is not None:
                task = found
            if is_answered(task.phase):
                break
    finally:
        gone.cancel()
    return task


async def _list_tasks(turn: Turn) -> dict[str, Any]:
    params = turn.asked.params
    size = params.page_size if params.HasField("page_size") else DEFAULT_LIST_TASKS_PAGE_SIZE
    if not 1 <= size <= MAX_LIST_TASKS_PAGE_SIZE:
        raise InvalidParamsError(f"`pageSize` is from 1 to {MAX_LIST_TASKS_PAGE_SIZE}, not {size}")
    after = params.status_timestamp_after if params.HasField("status_timestamp_after") else None
    page = await turn.services.a2a.page(
        turn.principal,
        turn.agent,
        limit=size,
        before=_before(params.page_token),
        context_id=_text(params.context_id, "contextId") or None,
        state=a2a.TaskState(TaskState.Name(params.status)) if params.status else None,
        changed_after=None if after is None else after.ToDatetime(tzinfo=UTC),
    )
    tasks = [_document(task, params, with_artifacts=params.include_artifacts) for task in page.tasks]
    token = f"{_BEFORE}{page.before}" if page.before is not None else ""
    found = ListTasksResponse(tasks=tasks, next_page_token=token, page_size=size, total_size=page.total)
    document: dict[str, Any] = MessageToDict(found, always_print_fields_with_no_presence=True)
    if not params.include_artifacts:
        for each in document["tasks"]:
            each.pop("artifacts", None)
    return document


async def _push_config(turn: Turn) -> dict[str, Any]:
    params, pushes = turn.asked.params, turn.services.a2a_pushes
    task = await turn.find(_id(params.task_id))
    match turn.asked.verb:
        case "CreateTaskPushNotificationConfig":
            push = read_push(plain(params))
            await pushes.check(turn.principal, push)
            return plain(await pushes.save(turn.principal, task, push))
        case "GetTaskPushNotificationConfig":
            return plain(await pushes.find(turn.principal, task, _text(params.id, "id")))
        case "DeleteTaskPushNotificationConfig":
            await pushes.delete(turn.principal, task, _text(params.id, "id"))
            return {}
        case _:
            size = params.page_size or MAX_LIST_TASKS_PAGE_SIZE
            if not 1 <= size <= MAX_LIST_TASKS_PAGE_SIZE:
                raise InvalidParamsError(f"`pageSize` is from 1 to {MAX_LIST_TASKS_PAGE_SIZE}, not {size}")
            configs, token = await pushes.page(
                turn.principal, task, limit=size, after=_text(params.page_token, "pageToken") or None
            )
            return plain(ListTaskPushNotificationConfigsResponse(configs=configs, next_page_token=token))


def _shown(task: A2aTask, turn: Turn) -> dict[str, Any]:
    return plain(_document(task, turn.asked.params))


def _document(task: A2aTask, params: Any, *, with_artifacts: bool = True) -> Any:
    """Return a task with as much of its history as is asked for: it holds one message, the one that it began with."""
    asked = params.history_length if params.HasField("history_length") else 1
    if asked < 0:
        raise InvalidParamsError("`historyLength` is not less than 0")
    return task_document(task, with_history=asked > 0, with_artifacts=with_artifacts)


def _id(text: str) -> UUID:
    if not text:
        raise InvalidParamsError("the id of a task is missing")
    found = task_id_of(text)
    assert found is not None
    return found


def _text(given: str, name: str) -> str:
    """Return a text that the database can be asked for."""
    if not given.isprintable():
        raise InvalidParamsError(f"`{name}` holds what cannot be printed")
    return given


def _before(token: str) -> UUID | None:
    if not token:
        return None
    try:
        return UUID(token.removeprefix(_BEFORE))
    except ValueError as error:
        raise InvalidParamsError(f"`{token[:60]}` is not a page token that this list gave") from error
