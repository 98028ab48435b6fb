"""The JSON Schemas of schedules and hooks: what is sent is what a manifest writes, with the name."""

from __future__ import annotations

from aos.control_plane.shapes import (
    INSTANT,
    NUMBER,
    TEXT,
    UUID,
    Schema,
    closed,
    list_of,
    maybe,
    new_of,
    part_of,
    patch_of,
)

_MADE: Schema = {"created_at": INSTANT, "updated_at": INSTANT, "retired_at": maybe(INSTANT)}


def start_components() -> dict[str, Schema]:
    """Return the named schemas of what starts runs."""
    target: Schema = {"workflow": maybe(TEXT), "agent": maybe(TEXT)}
    hook = closed(
        {
            "id": UUID,
            "name": TEXT,
            **_fields("hooks"),
            **target,
            "signal": maybe(TEXT),
            "path": {**TEXT, "description": "Where senders post to"},
            "secret_version": NUMBER,
            "last_at": maybe(INSTANT),
            **_MADE,
        }
    )
    secret = {**maybe(TEXT), "description": "What senders sign with; shown now and never again"}
    return {
        "ScheduleNew": new_of("schedules"),
        "SchedulePatch": patch_of("schedules"),
        "Schedule": closed(
            {
                "id": UUID,
                "name": TEXT,
                **_fields("schedules"),
                **target,
                "next_at": maybe(INSTANT),
                "last_at": maybe(INSTANT),
                "last_run_id": maybe(UUID),
                "last_run_state": maybe(TEXT),
                "last_error": maybe(TEXT),
                **_MADE,
            }
        ),
        "ScheduleTimes": closed({"timezone": TEXT, "items": list_of(INSTANT)}),
        "HookNew": new_of("hooks"),
        "HookPatch": patch_of("hooks"),
        "Hook": hook,
        "HookMade": {
            **hook,
            "properties": {**hook["properties"], "secret": secret, "note": TEXT},
            "required": [*hook["required"], "secret"],
        },
    }


def _fields(kind: str) -> Schema:
    properties: Schema = part_of(kind)["properties"]
    return properties
