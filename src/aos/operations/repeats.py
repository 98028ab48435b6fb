"""Whether and under which key an act is made once more."""

from __future__ import annotations

import hashlib
from uuid import UUID

from aos.kernel.acts import Act, ActionState, ActKind, Permit, Recorded
from aos.kernel.tools import Repeat, Tool


def may_repeat(act: Act, tool: Tool | None) -> bool:
    """Say whether an act of unknown outcome may be asked for again without a person.

    A model may, inside a task, where replay asks; under an Idempotency-Key its caller was promised no second call.
    """
    if act.kind is ActKind.MODEL:
        return act.call is not None
    if act.kind is ActKind.ASK:
        return True
    return tool is not None and tool.repeat is not Repeat.NEVER


def is_repeatable(permit: Permit, recorded: Recorded, *, seconds: float) -> bool:
    """Say whether a call that was cut off may be made again by itself: never where that could do something twice."""
    tool, act = permit.tool, permit.act
    if tool is None or recorded.state is not ActionState.UNKNOWN or seconds >= tool.timeout_seconds:
        return False
    keyed = act.call is not None or act.idempotency_key is not None
    return tool.repeat is Repeat.SAFE or (tool.repeat is Repeat.KEYED and keyed)


def repeat_key(act: Act, action_id: UUID) -> str:
    """Return the key under which a tool is asked again: the same for every try of the same call.

    Inside a task it follows from the task and the call's key, outside from the principal and the Idempotency-Key; an act
    with neither is never asked again, so its action's id serves.
    """
    claim = act.principal.claim
    if act.call is not None and claim is not None:
        text = f"task:{claim.task_id}:{act.call.key}"
    elif act.idempotency_key is not None:
        text = f"principal:{act.principal.actor.id}:{act.idempotency_key}"
    else:
        text = f"action:{action_id}"
    return hashlib.sha256(f"{act.principal.organization_id}:{text}".encode()).hexdigest()
