"""Reads what starts runs: schedules, whose templates know `due`, and hooks, whose templates know `event`.

Whether a cron line or a zone means something is checked by whoever stores it: the kernel knows no zones.
"""

from __future__ import annotations

from typing import cast

from aos.kernel.errors import AosError
from aos.kernel.hooks import EVENT, HookMapping, HookSpec
from aos.kernel.json import Json
from aos.kernel.manifest.parts import Part
from aos.kernel.manifest.templates import texts_in
from aos.kernel.schedules import DUE, CatchUp, Overlap, ScheduleSpec
from aos.kernel.schema import pointer
from aos.kernel.workflow.templates import names_read


def read_schedule(name: str, part: Part) -> ScheduleSpec:
    """Read one schedule."""
    for field in ("input", "goal"):
        _check_template(part, field, DUE)
    priority = part.fields.get("priority", 0)
    return ScheduleSpec(
        name=name,
        cron=" ".join(part.text("cron").split()),
        workflow=part.text("workflow"),
        agent=part.text("agent"),
        timezone=part.text("timezone"),
        input=part.fields.get("input"),
        goal=part.text("goal"),
        labels=_texts(part),
        priority=priority if isinstance(priority, int) else 0,
        catch_up=CatchUp(part.text("catch_up", CatchUp.LAST)),
        overlap=Overlap(part.text("overlap", Overlap.SKIP)),
        owner=part.text("owner").lower(),
        enabled=part.fields.get("enabled") is not False,
    )


def read_hook(name: str, part: Part) -> HookSpec:
    """Read one hook."""
    accepts, mapping = part.sub("accepts"), part.sub("mapping")
    for field in ("input", "goal", "labels", "run"):
        _check_template(mapping, field, EVENT)
    signal = part.text("signal")
    for field in ("goal", "labels") if signal else ("run",):
        if field in mapping.fields:
            mapping.note(field, f"is for a hook that {'starts a run' if signal else 'sends a signal'}")
    return HookSpec(
        name=name,
        workflow=part.text("workflow"),
        agent=part.text("agent"),
        signal=signal,
        types=accepts.texts("types"),
        sources=accepts.texts("sources"),
        mapping=HookMapping(
            input=mapping.fields.get("input", HookMapping().input),
            goal=mapping.text("goal"),
            labels=_texts(mapping),
            run=mapping.text("run", HookMapping().run),
        ),
        owner=part.text("owner").lower(),
        enabled=part.fields.get("enabled") is not False,
    )


def _texts(part: Part) -> dict[str, str]:
    return cast(dict[str, str], dict(part.sub("labels").fields))


def _check_template(part: Part, field: str, known: str) -> None:
    """Note each expression of a field that does not compile or reads anything but the one name that is known."""
    value: Json = part.fields.get(field)
    for where, text in texts_in(value, pointer(part.at, field)):
        try:
            names_read(text, (), also=frozenset({known}))
        except AosError as error:
            part.note_at(where, error.detail)
