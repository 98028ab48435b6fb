"""The shape of each kind of call: what its arguments and its recorded value hold. Pure; alike for both colours."""

from __future__ import annotations

import inspect
import json
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from aos_sdk.errors import AgentStopped, ChildFailed, InvalidCall, StepFailed, call_failure
from aos_sdk.frames import Json, Raised
from aos_sdk.keys import canonical_json, plain_json
from aos_sdk.replay import Outcome

TRACEBACK_LENGTH_MAX = 8_000
"""Characters of a traceback that leave the host: its end, where the cause stands."""
MESSAGE_LENGTH_MAX = 2_000
_OURS = Path(__file__).parent
Join: TypeAlias = Literal["all", "any"] | int
"""How many of some tasks must have ended."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's answer: its text, the tools it asks for as chat/completions has them, and why it ended.

    `message` can stand in the next prompt as it is; `model` is the name that the server gave; `tokens` are input and output.
    """

    text: str
    tool_calls: list[dict[str, Any]]
    stop_reason: str
    message: dict[str, Any]
    model: str
    tokens: tuple[int, int]


@dataclass(frozen=True, slots=True)
class ChildResult:
    """What became of one spawned task."""

    task_id: str
    ok: bool
    value: Json
    detail: str
    open: bool = False


class Unfinished:
    """What stands in `gather`'s answer for a task that had not ended: `UNFINISHED`, which counts as false."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNFINISHED"


UNFINISHED: Final = Unfinished()


def tool_arguments(name: str, given: Mapping[str, object] | None, *, named: Mapping[str, object]) -> dict[str, Json]:
    """Return a tool call's arguments from its dict and its keywords; raises `InvalidCall` when both name one."""
    twice = sorted(set(given or ()) & set(named))
    if twice:
        raise InvalidCall(f"argument `{twice[0]}` of tool `{name}` is given twice", slug="invalid-call")
    arguments: dict[str, Json] = plain_json({**(given or {}), **named}, f"arguments of tool `{name}`")
    return arguments


def bound_arguments(
    function: Callable[..., object], args: Sequence[object], *, named: Mapping[str, object]
) -> dict[str, object]:
    """Return the arguments of a call by the names that `function` gives them; raises `InvalidCall` when it takes no such."""
    try:
        return dict(inspect.signature(function).bind(*args, **named).arguments)
    except TypeError as error:
        raise InvalidCall(f"`{function.__name__}` cannot be called: {error}", slug="invalid-call") from error


def completion_arguments(
    prompt: str | Sequence[Mapping[str, object]], parameters: Mapping[str, object]
) -> dict[str, Json]:
    """Return the arguments of a question to a model: its messages and parameters; raises `InvalidCall` for what it cannot take."""
    for name in ("messages", "model", "stream", "stream_options"):
        if name in parameters:
            detail = f"`{name}` is not a parameter of `complete`: messages come first, and the answer comes whole"
            raise InvalidCall(detail, slug="invalid-call")
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else [dict(each) for each in prompt]
    arguments: dict[str, Json] = plain_json({"messages": messages, **parameters}, "the question to a model")
    return arguments


def read_completion(value: Json) -> Completion:
    """Return the answer that is recorded of a question to a model."""
    said = json.loads(value["body"])
    choice = said["choices"][0]
    message, usage = choice["message"], said.get("usage") or {}
    return Completion(
        text=message.get("content") or "",
        tool_calls=message.get("tool_calls") or [],
        stop_reason=choice.get("finish_reason") or "",
        message=message,
        model=said.get("model", ""),
        tokens=(usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)),
    )


def spawn_arguments(
    agent: str, value: object, *, name: str | None, budget: object, after: Sequence[str] = ()
) -> dict[str, Json]:
    """Return the arguments of a spawn: `input`, and `name`, `budget` and `after` where given."""
    arguments: dict[str, Json] = {"input": plain_json(value, f"input of agent `{agent}`")}
    if name is not None:
        arguments["name"] = name
    if budget is not None:
        arguments["budget"] = plain_json(budget, f"budget of agent `{agent}`")
    if after:
        arguments["after"] = list(after)
    return arguments


def gather_arguments(task_ids: Sequence[str], join: Join) -> dict[str, Json]:
    """Return the arguments of a wait for spawned tasks; raises `InvalidCall` for a join that is none."""
    if join == "all":
        return {"task_ids": list(task_ids)}
    number = 1 if join == "any" else join
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number <= len(task_ids):
        raise InvalidCall(
            f"`join` is `all`, `any` or a number from 1 to {len(task_ids)}, not `{join}`", slug="invalid-call"
        )
    return {"task_ids": list(task_ids), "join": join}


def sleep_arguments(duration: float | timedelta) -> dict[str, Json]:
    """Return the arguments of a sleep; raises `InvalidCall` for what is no time from 0 on."""
    return {"seconds": _seconds(duration, "a sleep")}


def until_arguments(when: datetime) -> dict[str, Json]:
    """Return the arguments of a sleep until a time; raises `InvalidCall` for a time without its zone."""
    if not isinstance(when, datetime) or when.tzinfo is None:
        raise InvalidCall(f"`sleep_until` needs a time with its zone, not `{when}`", slug="invalid-call")
    return {"until": when.isoformat()}


def signal_arguments(timeout: float | timedelta | None) -> dict[str, Json]:
    """Return the arguments of a wait for a signal; raises `InvalidCall` for a limit that is none."""
    return {} if timeout is None else {"timeout": _seconds(timeout, "a limit")}


def _seconds(given: float | timedelta, what: str) -> float:
    seconds: Any = given.total_seconds() if isinstance(given, timedelta) else given
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < float("inf"):
        raise InvalidCall(f"{what} is a number of seconds from 0 on, not `{given}`", slug="invalid-call")
    return float(seconds)


def next_input(value: object) -> Json:
    """Return the input of a task's next generation; raises `InvalidCall` when it is not JSON or too large."""
    plain = plain_json(value, "input of `continue_as_new`")
    canonical_json(plain, "input of `continue_as_new`")
    return plain


def report_arguments(kind: str, value: object, *, fields: Mapping[str, object]) -> dict[str, Json]:
    """Return the arguments of a report: `value` and `fields`."""
    return {
        "value": plain_json(value, f"value of report `{kind}`"),
        "fields": plain_json(dict(fields), f"fields of report `{kind}`"),
    }


def step_arguments(args: Sequence[object]) -> dict[str, Json]:
    """Return what tells one `step()` from another: its arguments, a value that is not JSON by its class alone."""
    told: list[Json] = []
    for value in args:
        try:
            plain = plain_json(value, "argument of a step")
            canonical_json(plain, "argument of a step")
            told.append(plain)
        except InvalidCall:
            told.append({"class": f"{type(value).__module__}.{type(value).__qualname__}"})
    return {"arguments": told}


def raised(error: BaseException) -> Raised:
    """Return an exception as text, its traceback bounded."""
    text = "".join(traceback.format_exception(error))
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if _OURS not in Path(frame.filename).parents]
    where = clean(f"{Path(own[-1].filename).name}:{own[-1].lineno}") if own else ""
    said = clean(str(error))[:MESSAGE_LENGTH_MAX]
    code = clean(str(error.code)) if isinstance(error, AgentStopped) else ""
    return Raised(type(error).__qualname__, said, clean(text)[-TRACEBACK_LENGTH_MAX:], where, code)


def result_value(value: object) -> Json:
    """Return what a function returned as plain JSON; raises `InvalidCall` when it is not JSON or too large."""
    plain = plain_json(value, "result of the function")
    canonical_json(plain, "result of the function")
    return plain


def clean(text: str) -> str:
    """Return text that UTF-8 can carry: half a surrogate pair becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")


def step_value(name: str, value: object, *, reached: Sequence[tuple[str, int]]) -> dict[str, Json]:
    """Return the envelope of a step that returned; raises `InvalidCall` when its value is not JSON or too large."""
    plain = plain_json(value, f"result of step `{name}`")
    canonical_json(plain, f"result of step `{name}`")
    return {"value": plain, "reached": [[key, tries] for key, tries in reached]}


def step_failure(error: BaseException, reached: Sequence[tuple[str, int]]) -> dict[str, Json]:
    """Return the envelope of a step whose function raised."""
    told = raised(error)
    return {
        "error": {"type": told.type, "message": told.message},
        "reached": [[key, tries] for key, tries in reached],
    }


def step_reached(envelope: Json) -> list[tuple[str, int]]:
    """Return which calls lie inside a recorded step."""
    return [(str(key), int(tries)) for key, tries in envelope["reached"]] if _is_envelope(envelope) else []


def _is_envelope(value: Json) -> bool:
    return isinstance(value, dict) and "reached" in value


def read_step(name: str, outcome: Outcome) -> Json:
    """Return a step's value; raises `StepFailed` when its function raised, or why it could not be recorded."""
    envelope = outcome.value
    if not _is_envelope(envelope):
        return read_outcome(outcome)
    error = envelope.get("error")
    if error is not None:
        message, kind = str(error["message"]), str(error["type"])
        raise StepFailed(f"step `{name}` raised {kind}: {message}", step=name, type=kind)
    return envelope["value"]


def read_outcome(outcome: Outcome, kind: str = "tool") -> Json:
    """Return the value of a performed call of a kind; raises the `AosCallError` of any other."""
    if outcome.state != "performed":
        raise call_failure(outcome.state, outcome.error, kind=kind)
    return outcome.value


def read_spawned(value: Json) -> str:
    """Return the id of the task that a spawn made."""
    return str(value["task_id"])


def read_children(value: Json) -> list[ChildResult]:
    """Return what became of the tasks asked for, in the order asked."""
    return [
        ChildResult(
            str(child["task_id"]),
            bool(child.get("ok")),
            child.get("value"),
            str(child.get("detail", "")),
            bool(child.get("open")),
        )
        for child in value
    ]


def child_failure(children: Sequence[ChildResult]) -> ChildFailed | None:
    """Return the error of the first child that failed, naming all that did; None when all succeeded."""
    failed = {child.task_id: child.detail for child in children if not child.ok and not child.open}
    if not failed:
        return None
    task_id, detail = next(iter(failed.items()))
    more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    return ChildFailed(f"spawned task `{task_id}` failed: {detail}{more}", task_id=task_id, failures=failed)


def child_values(children: Sequence[ChildResult], *, return_exceptions: bool) -> list[Json]:
    """Return the children's values; a failed one raises `ChildFailed`, or stands in its place when asked so.

    In the place of one that has not ended stands `UNFINISHED`.
    """
    if not return_exceptions:
        failure = child_failure(children)
        if failure is not None:
            raise failure
    return [UNFINISHED if child.open else child.value if child.ok else child_failure([child]) for child in children]
