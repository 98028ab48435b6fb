"""`POST /hooks/{organization}/{hook}`: the door for signed messages of systems outside.

201 names the run that an event started or signalled, 200 says that it was known or is not wanted, 202 that a person is asked: the sender
repeats the same message to have it done. Everything else is a problem; a stranger learns nothing from it.
"""

from __future__ import annotations

from uuid import UUID

from aos.data_plane.binding import Services
from aos.data_plane.http import Request, Response, json_response
from aos.kernel.hooks import Message
from aos.operations.hook_calls import Taken


async def take_message(services: Services, request: Request, organization: str, *, hook: str) -> Response:
    """Take one message and say what became of it."""
    message = Message(request.headers, request.body)
    received = await services.hooks.receive(_id(organization), _id(hook), message)
    document = {"status": received.taken.value}
    match received.taken:
        case Taken.WAITS:
            location = f"/approvals/{received.approval_id}"
            return json_response(202, {**document, "approval_id": received.approval_id}, headers={"location": location})
        case Taken.STARTED | Taken.SENT:
            location = f"/runs/{received.run_id}"
            return json_response(201, {**document, "run_id": received.run_id}, headers={"location": location})
        case Taken.DUPLICATE if received.run_id is not None:
            return json_response(200, {**document, "run_id": received.run_id})
        case Taken.DUPLICATE | Taken.IGNORED:
            return json_response(200, document)


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
