"""Schedules in the registry: times at which runs start by themselves, with the rights of their owner.

What a schedule's runs are given is content, sealed; who may not read content is not shown it. `due_schedules` starts the runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from aos.kernel.errors import Conflict
from aos.kernel.json import Json
from aos.kernel.ledger.record import RecordKind
from aos.kernel.people import Actor, Permission
from aos.kernel.schedules import CatchUp, Overlap, ScheduleSpec
from aos.operations.contents import seal_content
from aos.operations.cron_times import check_cron, first_after, hours_with_times, next_times
from aos.operations.data_keys import load_data_keys
from aos.operations.drivers import Drivers
from aos.operations.opened import open_contents
from aos.operations.pages import Page, PageQuery, find_one, list_page
from aos.operations.registry import Entry
from aos.operations.registry_records import Edit, reading
from aos.operations.run_owners import owner_of
from aos.store.cold.connection import run_sql
from aos.store.rows import rows_json

TIMES_MAX = 100
"""How many of a schedule's next times are told at once."""


@dataclass(frozen=True, slots=True)
class ScheduleDetail:
    """One schedule as it is shown; `spec.input` is None to those who may not read content."""

    id: UUID
    spec: ScheduleSpec
    next_at: datetime | None
    last_at: datetime | None
    last_run_id: UUID | None
    last_run_state: str | None
    last_error: str | None
    input_content_id: UUID | None
    owner_id: UUID
    created_at: datetime
    updated_at: datetime
    retired_at: datetime | None

    def next_times(self, after: datetime, at_most: int) -> tuple[datetime, ...]:
        """Return the times at which it will start something, none while it is paused."""
        if not self.spec.enabled or self.retired_at is not None or self.next_at is None:
            return ()
        later = next_times(self.spec.cron, self.spec.timezone, max(after, self.next_at), at_most=at_most)
        return (self.next_at, *later)[:at_most]

    def hours_with_times(self, after: datetime, hours: int) -> tuple[int, ...]:
        """Return in which of the coming hours it will start something, none while it is paused."""
        if not self.spec.enabled or self.retired_at is not None:
            return ()
        return hours_with_times(self.spec.cron, self.spec.timezone, after, hours=hours)


def create_schedule(edit: Edit, spec: ScheduleSpec) -> UUID:
    """File a schedule; its first time is the next one from now. Raises Conflict where the name is taken."""
    edit.require(Permission.REGISTRY_WRITE)
    edit.require(Permission.RUN_START)
    spec = _filled(edit, spec)
    id = edit.drivers.ids.new()
    params = _params(edit, id, spec, input_content_id=_sealed_input(edit, spec.input))
    if not run_sql("insert_schedule", params):
        raise Conflict(f"there is a schedule `{spec.name}` already")
    edit.registry.entries["schedule", spec.name] = Entry(id)
    edit.record(RecordKind.REGISTRY_CHANGED, "schedule.created", subject=f"schedule:{spec.name}")
    return id


def change_schedule(edit: Edit, spec: ScheduleSpec) -> None:
    """Change a schedule; other times count from now, and times that passed while it was paused do not. Raises NotFound."""
    edit.require(Permission.REGISTRY_WRITE)
    name, entry = edit.registry.get("schedule", spec.name)
    before = next(each for each in edit.registry.manifest.schedules if each.name == name)
    spec = _filled(edit, spec)
    found = find_schedule(edit.organization_id, str(entry.id))
    stopped_by = found.owner_id if replace(before, enabled=False) == spec else None
    kept = found.input_content_id if spec.input == before.input else _sealed_input(edit, spec.input)
    params = _params(edit, entry.id, spec, input_content_id=kept, owner_id=stopped_by)
    run_sql("update_schedule", params)
    change = "schedule.changed" if before.enabled == spec.enabled else _SWITCHED[spec.enabled]
    edit.record(RecordKind.REGISTRY_CHANGED, change, subject=f"schedule:{name}")


_SWITCHED = {True: "schedule.resumed", False: "schedule.paused"}


def retire_schedule(edit: Edit, key: str) -> None:
    """End a schedule: it starts nothing any more, and its name is free. Raises NotFound."""
    edit.require(Permission.REGISTRY_WRITE)
    name, entry = edit.registry.get("schedule", key)
    run_sql("retire_schedule", {"organization_id": edit.organization_id, "id": entry.id})
    edit.registry.entries.pop(("schedule", name))
    edit.record(RecordKind.REGISTRY_CHANGED, "schedule.retired", subject=f"schedule:{name}")


def list_schedules(drivers: Drivers, actor: Actor, query: PageQuery) -> Page[ScheduleDetail]:
    """Return a page of schedules."""
    with reading(actor, Permission.REGISTRY_READ):
        page = find_schedules(actor.organization_id, query)
        return replace(page, items=_opened(drivers, actor, page.items))


def show_schedule(drivers: Drivers, actor: Actor, key: str) -> ScheduleDetail:
    """Return one schedule by name or id; raise NotFound."""
    with reading(actor, Permission.REGISTRY_READ):
        return _opened(drivers, actor, (find_schedule(actor.organization_id, key),))[0]


def show_times(actor: Actor, key: str, *, at_most: int) -> tuple[ScheduleDetail, tuple[datetime, ...]]:
    """Return a schedule and its next times from now, none while it is paused; raise NotFound."""
    with reading(actor, Permission.REGISTRY_READ):
        detail = find_schedule(actor.organization_id, key)
        (row,) = run_sql("read_time")
    return detail, detail.next_times(row["now"], at_most)


def show_written(edit: Edit, key: str) -> ScheduleDetail:
    """Return a schedule as it stands in the open change."""
    return _opened(edit.drivers, edit.actor, (find_schedule(edit.organization_id, key),))[0]


def find_schedule(organization_id: UUID, key: str) -> ScheduleDetail:
    """Return one schedule by name or id, its input unopened, in the open transaction; raise NotFound."""
    return find_one(find_schedules, organization_id, key, what="schedule")


def find_schedules(organization_id: UUID, query: PageQuery) -> Page[ScheduleDetail]:
    """Return a page of schedules, their inputs unopened, in the open transaction."""
    # A retired one is found by its id alone; lists leave them out unless they are asked for.
    retired = None if query.filters.get("id") else False
    filters = {"enabled": None, "retired": retired, **query.filters}
    return list_page("list_schedules", organization_id, query, read=_detail, **filters)


def _filled(edit: Edit, spec: ScheduleSpec) -> ScheduleSpec:
    """Return a spec with its zone and owner filled in; raise InvalidRequest where it names no times."""
    timezone = spec.timezone or edit.registry.manifest.organization.timezone or "UTC"
    check_cron(spec.cron, timezone)
    return replace(spec, timezone=timezone, owner=spec.owner or edit.actor.email)


def _params(
    edit: Edit, id: UUID, spec: ScheduleSpec, *, input_content_id: UUID | None, owner_id: UUID | None = None
) -> dict[str, Any]:
    return {
        "organization_id": edit.organization_id,
        "id": id,
        "name": spec.name,
        "target_kind": "workflow" if spec.workflow else "agent",
        "target": spec.target,
        "cron": spec.cron,
        "timezone": spec.timezone,
        "input_content_id": input_content_id,
        "goal": spec.goal,
        "labels": msgspec.json.encode(dict(spec.labels)).decode(),
        "priority": spec.priority,
        "catch_up": spec.catch_up.value,
        "overlap": spec.overlap.value,
        "owner_id": owner_id or owner_of(edit, spec),
        "enabled": spec.enabled,
        "next_at": first_after(spec.cron, spec.timezone, edit.now),
    }


def _sealed_input(edit: Edit, value: Json) -> UUID | None:
    """Seal what runs are given and return where it lies."""
    if value is None:
        return None
    sealed = seal_content(
        value,
        purpose="schedule-input",
        organization_id=edit.organization_id,
        keys=load_data_keys(edit.drivers, edit.organization_id),
        crypto=edit.drivers.crypto,
        ids=edit.drivers.ids,
    )
    run_sql("append_content", {"contents": rows_json([sealed.row])})
    return sealed.row.id


def _opened(drivers: Drivers, actor: Actor, found: tuple[ScheduleDetail, ...]) -> tuple[ScheduleDetail, ...]:
    opened = open_contents(drivers, actor, [each.input_content_id for each in found])
    return tuple(replace(each, spec=replace(each.spec, input=opened.get(each.input_content_id))) for each in found)


def _detail(row: Mapping[str, Any]) -> ScheduleDetail:
    spec = ScheduleSpec(
        name=row["name"],
        cron=row["cron"],
        workflow=row["target"] if row["target_kind"] == "workflow" else "",
        agent=row["target"] if row["target_kind"] == "agent" else "",
        timezone=row["timezone"],
        goal=row["goal"],
        labels=row["labels"],
        priority=row["priority"],
        catch_up=CatchUp(row["catch_up"]),
        overlap=Overlap(row["overlap"]),
        owner=row["owner"],
        enabled=row["enabled"],
    )
    plain = ("id", "next_at", "last_at", "last_run_id", "last_run_state", "last_error")
    return ScheduleDetail(
        spec=spec,
        input_content_id=row["input_content_id"],
        owner_id=row["owner_id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        retired_at=row["retired_at"],
        **{name: row[name] for name in plain},
    )
