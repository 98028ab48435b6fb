"""Queues: what tasks share, and how many of them may be under way at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from aos.kernel.errors import Conflict
from aos.kernel.ledger.record import RecordKind
from aos.kernel.manifest.values import Manifest, QueueSpec
from aos.kernel.people import Actor, Permission
from aos.operations.pages import Page, PageQuery, find_one, list_page
from aos.operations.registry import Entry
from aos.operations.registry_records import Edit, reading
from aos.store.cold.connection import run_sql


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue, with how many of its tasks are under way."""

    id: UUID
    name: str
    concurrency: int
    under_way: int
    created_at: datetime
    updated_at: datetime


def create_queue(edit: Edit, spec: QueueSpec) -> UUID:
    """Make a queue; raise Conflict where the name is taken."""
    edit.require(Permission.REGISTRY_WRITE)
    id = edit.drivers.ids.new()
    params = {"organization_id": edit.organization_id, "id": id, "name": spec.name, "at_most": spec.concurrency}
    if not run_sql("insert_queue", params):
        raise Conflict(f"there is a queue `{spec.name}` already")
    edit.registry.entries["queue", spec.name] = Entry(id)
    edit.record(RecordKind.REGISTRY_CHANGED, "queue.created", subject=f"queue:{spec.name}")
    return id


def change_queue(edit: Edit, spec: QueueSpec) -> None:
    """Set how many tasks of a queue may be under way at once; those that are go on. Raises NotFound."""
    edit.require(Permission.REGISTRY_WRITE)
    name, entry = edit.registry.get("queue", spec.name)
    where = {"organization_id": edit.organization_id, "kind": "queue", "name": name}
    run_sql("set_limit", {**where, "id": entry.id, "at_most": spec.concurrency})
    edit.record(RecordKind.REGISTRY_CHANGED, "queue.changed", subject=f"queue:{name}")


def delete_queue(edit: Edit, key: str, *, checked: bool = False) -> None:
    """Delete a queue: nothing limits the tasks that still name it. Raises NotFound, and Conflict where an agent or a task
    names it.

    `checked` says that the caller has seen to what will name it.
    """
    edit.require(Permission.REGISTRY_WRITE)
    name, _ = edit.registry.get("queue", key)
    if not checked:
        check_unnamed(name, edit.registry.known())
    run_sql("remove_limit", {"organization_id": edit.organization_id, "kind": "queue", "name": name})
    del edit.registry.entries["queue", name]
    edit.record(RecordKind.REGISTRY_CHANGED, "queue.deleted", subject=f"queue:{name}")


def check_unnamed(name: str, manifest: Manifest) -> None:
    """Raise Conflict where an agent or a workflow's task stands in the queue."""
    named = [f"agent `{agent.name}` has its tasks in it" for agent in manifest.agents if agent.queue == name]
    named += [
        f"task `{task.name}` of workflow `{workflow.name}` stands in it"
        for workflow in manifest.workflows
        for task in workflow.tasks
        if task.queue == name
    ]
    if named:
        raise Conflict(f"queue `{name}` cannot be deleted: {named[0]}")


def list_queues(actor: Actor, query: PageQuery) -> Page[Queue]:
    """Return a page of queues."""
    with reading(actor, Permission.REGISTRY_READ):
        return find_queues(actor.organization_id, query)


def show_queue(actor: Actor, key: str) -> Queue:
    """Return one queue by name or id; raise NotFound."""
    with reading(actor, Permission.REGISTRY_READ):
        return find_queue(actor.organization_id, key)


def find_queue(organization_id: UUID, key: str) -> Queue:
    """Return one queue by name or id, in the open transaction; raise NotFound."""
    return find_one(find_queues, organization_id, key, what="queue")


def find_queues(organization_id: UUID, query: PageQuery) -> Page[Queue]:
    """Return a page of queues, in the open transaction."""
    return list_page("list_queues", organization_id, query, read=lambda row: Queue(**row), **query.filters)
