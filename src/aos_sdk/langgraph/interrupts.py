"""Interrupts as questions to people: each is an act (`ask:NAME`) that waits for an answer, which resumes the graph.

`HumanInTheLoopMiddleware` asks about tool calls in forms of its own: each tool call is one question, named by the tool, and
the answer is a decision in its form. Whatever else a graph interrupts with is asked as `interrupt`:
- a yes resumes it with the answer's `value`, else with its comment, else with true;
- a no resumes it with what was suggested instead, else with false.
A breakpoint (`interrupt_before`, `interrupt_after`) is asked about as `breakpoint`: a yes goes on, a no raises `Denied`.
A question that nobody answers in time raises, for no answer is none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from langgraph.types import Interrupt

from aos_sdk.errors import Denied
from aos_sdk.frames import Json
from aos_sdk.keys import plain_json
from aos_sdk.parking import ParkingPass

_FREE = "interrupt"


async def resume_value(calls: ParkingPass, interrupt: Interrupt, *, nth: int) -> Any:
    """Ask people about the interrupt that a step raises after `nth` answers, and return what resumes it."""
    value, key = interrupt.value, f"{interrupt.id}.{nth}"
    if isinstance(value, Mapping) and value.get("type") == "tool_approval":
        return await _decision(calls, value, key=key, allowed=None)
    if isinstance(value, Mapping) and isinstance(value.get("action_requests"), list):
        allowed = {each["action_name"]: each["allowed_decisions"] for each in value.get("review_configs") or []}
        requests = value["action_requests"]
        decisions = await asyncio.gather(
            *(
                _decision(calls, each, key=f"{key}.{place}", allowed=allowed.get(each["name"]))
                for place, each in enumerate(requests)
            )
        )
        return {"decisions": decisions}
    return await _free(calls, value, key=key)


async def pass_breakpoint(calls: ParkingPass, following: Collection[str], *, checkpoint: str) -> None:
    """Ask whether the graph may go on with these nodes; raises `Denied`."""
    await calls.call(
        "ask", "breakpoint", arguments={"next": list(following)}, key=f"breakpoint.{checkpoint}", options={}
    )


async def _free(calls: ParkingPass, value: Any, *, key: str) -> Any:
    asked = {"question": _shown(value)}
    try:
        said = await _ask(calls, _FREE, asked, key=key)
    except Denied as denied:
        if not denied.comment:
            raise
        return False if denied.suggested is None else denied.suggested
    if said["value"] is not None:
        return said["value"]
    return said["comment"] or True


async def _decision(calls: ParkingPass, request: Mapping[str, Any], *, key: str, allowed: Any) -> dict[str, Any]:
    """Ask about one tool call and return the decision as the middleware reads it."""
    name = str(request["name"])
    asked = {"tool": name, "arguments": _shown(request.get("args")), "description": str(request.get("description", ""))}
    try:
        said = await _ask(calls, name, asked, key=key)
    except Denied as denied:
        if not denied.comment:
            raise
        if isinstance(denied.suggested, dict) and (allowed is None or "edit" in allowed):
            return {"type": "edit", "edited_action": {"name": name, "args": denied.suggested}}
        return {"type": "reject", "message": denied.comment}
    value = said["value"]
    if isinstance(value, dict) and (allowed is None or "edit" in allowed):
        return {"type": "edit", "edited_action": {"name": name, "args": value}}
    if isinstance(value, str) and allowed is not None and "respond" in allowed:
        return {"type": "respond", "message": value}
    return {"type": "approve"}


async def _ask(calls: ParkingPass, name: str, arguments: dict[str, Json], *, key: str) -> dict[str, Any]:
    """Ask a person; the interrupt's own id is the key, so that each is asked about once."""
    said: dict[str, Any] = await calls.call("ask", name, arguments=arguments, key=f"interrupt.{key}", options={})
    return said


def _shown(value: Any) -> Json:
    try:
        return plain_json(value, "interrupt")
    except Exception:  # a person reads its text where it has no JSON
        return str(value)
