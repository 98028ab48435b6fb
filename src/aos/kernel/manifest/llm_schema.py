"""The JSON Schema of the runtime `llm`, as a part of the manifest's own. Its fields are those of `aos_sdk.llm.Loop`, and `budget`."""

from __future__ import annotations

from typing import Final

from aos.kernel.json import Json
from aos.kernel.limits import NAME_LENGTH_MAX

INSTRUCTIONS_LENGTH_MAX: Final = 20_000
TURNS_MAX: Final = 200
TOKENS_MAX: Final = 100_000_000
PLANS_MAX: Final = 20
PLAN_TASKS_MAX: Final = 200

_JsonObject = dict[str, Json]


def llm_schema() -> Json:
    """Return the schema of what an agent without code goes by."""
    properties: _JsonObject = {
        "model": _text(
            "A model's name, `purpose:NAME` or `auto`; the agent's only model, else `auto`", NAME_LENGTH_MAX
        ),
        "instructions": _text("What the model is told beside goal and objectives", INSTRUCTIONS_LENGTH_MAX),
        "turns": _number("How often the model is asked at most", most=TURNS_MAX, default=20),
        "tokens": _number("How many tokens all turns of a task may use together", most=TOKENS_MAX),
        "answer_tokens": _number("How many tokens one answer may have", most=1_000_000),
        "temperature": {"type": "number", "minimum": 0, "maximum": 2, "description": "As the model's server reads it"},
        "budget": _money("What one task may cost, with all that it hands over"),
        "child_budget": _money("What each task that it hands over may cost"),
        "output": {"type": "object", "description": "The JSON Schema of the answer; without one the answer is text"},
        "style": {
            "enum": ["auto", "tools", "json"],
            "default": "auto",
            "description": "Whether the model calls tools or writes its next step as JSON; `auto` goes by what it can do",
        },
        "tools": {
            "type": "array",
            "items": {"type": "string", "minLength": 1, "maxLength": NAME_LENGTH_MAX},
            "maxItems": 1_000,
            "description": "The tools it is offered, names or globs, of those it may call; all of them unless it says so",
        },
        "plans": _number("How many plans an executive may carry out", most=PLANS_MAX, default=3),
        "plan_tasks": _number("How many tasks one plan may have", most=PLAN_TASKS_MAX, default=20),
        "result_chars": _number("How much of one result the model is shown", most=200_000, default=20_000),
        "on_limit": {
            "enum": ["answer", "fail"],
            "default": "answer",
            "description": "Whether a task that has spent its turns, tokens or money ends with what it has, or fails",
        },
    }
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "description": "An agent without code: AOS leads a model through its tools to an answer",
    }


def _text(description: str, length_max: int) -> _JsonObject:
    return {"type": "string", "minLength": 1, "maxLength": length_max, "description": description}


def _number(description: str, *, most: int, default: int | None = None) -> _JsonObject:
    found: _JsonObject = {"type": "integer", "minimum": 1, "maximum": most, "description": description}
    return found if default is None else {**found, "default": default}


def _money(description: str) -> _JsonObject:
    return {"$ref": "#/$defs/money", "description": description}
