"""The JSON Schemas of what starts runs, as parts of the manifest's own: schedules and hooks."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from aos.kernel.json import Json
from aos.kernel.limits import NAME_LENGTH_MAX
from aos.kernel.schedules import PRIORITY_MAX, CatchUp, Overlap

_JsonObject = dict[str, Json]


def schedule_schema() -> Json:
    """Return the schema of one schedule."""
    cron: list[Json] = ["0 6 1 * *", "*/15 8-17 * * MON-FRI"]
    given = "What each run is given; `${due.month}`, `${due.date}`, `${due.at}` tell its time"
    missed = "What becomes of times missed while nothing ran: none, the last, or all"
    return _closed(
        {
            "cron": {**_text("Minute, hour, day, month, weekday, as in crontab"), "examples": cron},
            "timezone": {**_text("The zone of these times; the organization's unless it says so"), "minLength": 1},
            "input": {"description": given},
            "goal": _text("What each run is to reach; may hold `${due.date}`", length_max=4_000),
            "labels": _LABELS,
            "priority": {
                "type": "integer",
                "minimum": -PRIORITY_MAX,
                "maximum": PRIORITY_MAX,
                "default": 0,
                "description": "Larger goes first",
            },
            "catch_up": _one_of(CatchUp, missed, default=CatchUp.LAST),
            "overlap": _one_of(Overlap, "Whether a run starts while the one before is open", default=Overlap.SKIP),
            "enabled": {"type": "boolean", "default": True, "description": "Whether it starts anything"},
        },
        required=("cron",),
    )


def hook_schema() -> Json:
    """Return the schema of one hook."""
    accepts: _JsonObject = {
        "types": _texts("A type of event, or a glob", "Only events of these types"),
        "sources": _texts("A source, or a glob", "Only events from these sources"),
    }
    mapping: _JsonObject = {
        "input": {"description": "What the run is given, or the signal's value; `${event.data}` unless it says so"},
        "goal": _text("What the run is to reach; may hold `${event.data...}`", length_max=4_000),
        "labels": _LABELS,
        "run": _text("Of a signal: the id of the run that is told; `${event.data.run_id}` unless it says so"),
    }
    signal = {**_text("Or the name of the signal that a run is sent"), "minLength": 1}
    made = "What is made of an event: `${event.id}`, `.source`, `.type`, `.data` and its attributes"
    return _closed(
        {
            "accepts": _part(accepts, "Which events it takes; all, when left out"),
            "mapping": _part(mapping, made),
            "enabled": {"type": "boolean", "default": True, "description": "Whether it takes anything"},
        },
        also={"signal": signal},
    )


def _closed(properties: _JsonObject, *, required: tuple[str, ...] = (), also: _JsonObject | None = None) -> _JsonObject:
    """Return the schema of something that starts one target, or one of `also`, with the rights of an owner."""
    target: _JsonObject = {
        "workflow": {"$ref": "#/$defs/name", "description": "The workflow that is run; or give `agent`"},
        "agent": {"$ref": "#/$defs/name", "description": "The agent that is run by itself"},
        **(also or {}),
    }
    owner = {**_text("Whose rights the runs have; whoever applies it unless it says so"), "format": "email"}
    found: _JsonObject = {
        "type": "object",
        "properties": {**target, **properties, "owner": owner},
        "additionalProperties": False,
        "oneOf": [{"required": [name]} for name in target],
    }
    return {**found, "required": list(required)} if required else found


def _part(properties: _JsonObject, description: str) -> _JsonObject:
    return {"type": "object", "properties": properties, "additionalProperties": False, "description": description}


def _text(description: str, *, length_max: int = NAME_LENGTH_MAX) -> _JsonObject:
    return {"type": "string", "description": description, "maxLength": length_max}


def _texts(item: str, description: str) -> _JsonObject:
    return {
        "type": "array",
        "items": {**_text(item), "minLength": 1},
        "maxItems": 1_000,
        "description": description,
    }


def _one_of(values: type[StrEnum], description: str, *, default: StrEnum) -> _JsonObject:
    return {"enum": [value.value for value in values], "description": description, "default": default.value}


_LABELS: Final[_JsonObject] = {
    "type": "object",
    "additionalProperties": {"type": "string", "maxLength": NAME_LENGTH_MAX},
    "maxProperties": 50,
    "description": "What the runs are found by",
}
