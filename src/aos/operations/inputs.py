"""What a claimed task is given: its input rendered, its run's goal, and the calls that it made before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from aos.kernel.json import Json
from aos.kernel.tools import Repeat, Tool
from aos.kernel.workflow.passes import CallRecord, CallState, history_of, history_tries
from aos.kernel.workflow.templates import INPUT, output_value, render
from aos.operations.claimed import START_KEY, ClaimedTask
from aos.operations.contents import DataKeys, open_json
from aos.operations.decided import told_of
from aos.operations.drivers import Drivers
from aos.operations.tasks import Taken
from aos_sdk.frames import CallError, Recorded


def task_values(taken: Taken, keys: DataKeys, drivers: Drivers) -> dict[str, Json]:
    """Return what the templates of a task may name: the run's input and the outputs that it reads.

    Of a task that has returned nothing (it was left out, failed and is tolerated, or its join did not wait for it) the
    output is null.
    """
    values: dict[str, Json] = {INPUT: None} if taken.task.work.reads_input else {}
    values.update((name, output_value(None)) for name in taken.task.work.reads)
    for row in taken.contents:
        if row["role"] == "run_input":
            values[INPUT] = open_json(row, keys=keys, crypto=drivers.crypto)
        elif row["role"] == "output":
            sealed = row["sealed"] is not None
            value = open_json(row, keys=keys, crypto=drivers.crypto) if sealed else None
            values[row["name"]] = output_value(value)
    return values


def task_input(taken: Taken, keys: DataKeys, drivers: Drivers) -> Json:
    """Return the input of a task: what was stored for it, else its template rendered.

    Raises InvalidCondition where a template has no value, NotFound where content was erased.
    """
    stored = next((row for row in taken.contents if row["role"] == "input"), None)
    if stored is not None:
        return open_json(stored, keys=keys, crypto=drivers.crypto)
    return render(taken.task.work.input, task_values(taken, keys, drivers))


def run_goal(taken: Taken, keys: DataKeys, drivers: Drivers) -> str:
    """Return the goal that the run was given, empty where it was given none."""
    stored = next((row for row in taken.contents if row["role"] == "goal"), None)
    if stored is None or stored["sealed"] is None:
        return ""
    value = open_json(stored, keys=keys, crypto=drivers.crypto)
    return value if isinstance(value, str) else ""


def call_records(calls: Sequence[Mapping[str, Any]], tools: Mapping[str, Tool]) -> dict[CallRecord, Mapping[str, Any]]:
    """Return the calls of a task as the kernel sees them, each with its row; the task's own delegation is none of them."""
    found: dict[CallRecord, Mapping[str, Any]] = {}
    for row in calls:
        if row["key"] == START_KEY:
            continue
        tool = tools.get(row["name"]) if row["kind"] == "tool" else None
        repeat = tool.repeat if tool is not None else Repeat.NEVER if row["kind"] == "tool" else Repeat.SAFE
        record = CallRecord(
            key=row["key"],
            attempt=row["attempt"],
            tries=row["tries"],
            kind=row["kind"],
            name=row["name"],
            effect=row["effect"],
            state=CallState(row["state"]),
            seq=row["seq"],
            repeat=repeat,
        )
        found[record] = row
    return found


def pass_history(
    task: ClaimedTask, calls: Mapping[CallRecord, Mapping[str, Any]], keys: DataKeys, *, drivers: Drivers
) -> list[Recorded]:
    """Return the history that the next pass of a task is handed, opened."""
    history = []
    for call in history_of(list(calls), task.attempt):
        row = calls[call]
        value = open_json(row, keys=keys, crypto=drivers.crypto) if row["sealed"] is not None else None
        history.append(
            Recorded(
                seq=call.seq,
                key=call.key,
                tries=history_tries(call, task.attempt),
                kind=call.kind,
                state=_concluded(call.state),
                value=value if call.state is CallState.PERFORMED or call.kind == "step" else None,
                error=None if call.state is CallState.PERFORMED or call.kind == "step" else call_error(row, value),
            )
        )
    return history


def _concluded(state: CallState) -> Any:
    return state.value


def call_error(row: Mapping[str, Any], value: Json) -> CallError:
    """Return why a recorded call was not performed, from its row and its opened outcome."""
    detail, reasons = told_of(value)
    kept = value.get("code") if row["action_id"] is None and isinstance(value, dict) else None
    told = told_error(str(row["error_code"] or kept or row["state"]), detail, reasons)
    if not isinstance(value, dict) or "comment" not in value:
        return told
    return msgspec.structs.replace(told, comment=str(value["comment"]), suggested=value.get("suggested_args"))


def told_error(slug: str, detail: str, reasons: Sequence[str] = ()) -> CallError:
    """Return what an agent is told of a call that was not performed, on the pass that made it and on every later one."""
    rule = reasons[0].partition(":")[0] if reasons else None
    return CallError(slug=slug, detail=detail, reasons=list(reasons), rule=rule)


def as_uuid(text: object) -> UUID | None:
    """Return the UUID of a text, None where it is none."""
    try:
        return UUID(text) if isinstance(text, str) else None
    except ValueError:
        return None
