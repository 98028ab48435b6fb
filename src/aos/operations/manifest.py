"""Apply a manifest: everything it says in one transaction, or nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from aos.kernel.agents import AgentStatus
from aos.kernel.errors import FieldError, InvalidCondition, InvalidRequest
from aos.kernel.json import Json
from aos.kernel.manifest.diff import Change, Mark, diff, merge
from aos.kernel.manifest.echoes import echo_warnings
from aos.kernel.manifest.parse import parse_manifest, refuse_manifest
from aos.kernel.manifest.values import Manifest
from aos.kernel.people import ROLE_PERMISSIONS, Permission
from aos.kernel.schema import pointer
from aos.kernel.tools import Tool
from aos.operations.agents import change_agent, move_agent, register_agent
from aos.operations.budgets import change_budget, create_budget, retire_budget
from aos.operations.cron_times import check_cron
from aos.operations.departments import change_department, create_department
from aos.operations.hooks import change_hook, create_hook, retire_hook
from aos.operations.mcp_servers import MCP_SERVERS
from aos.operations.mcp_warnings import mcp_warnings
from aos.operations.model_warnings import model_warnings
from aos.operations.models import MODELS
from aos.operations.organizations import change_settings
from aos.operations.people import add_member, find_member, set_roles
from aos.operations.policies import check_rules, retire_policy, save_policy
from aos.operations.purposes import PURPOSES
from aos.operations.queues import change_queue, check_unnamed, create_queue, delete_queue
from aos.operations.registry import Entry, tool_of
from aos.operations.registry_records import Edit
from aos.operations.remote_warnings import remote_warnings
from aos.operations.schedules import change_schedule, create_schedule, retire_schedule
from aos.operations.tools import change_tool, register_tool, retire_tool
from aos.operations.workflows import change_workflow, create_workflow, retire_workflow


@dataclass(frozen=True, slots=True)
class Applied:
    """What applying changed; `waits` names the changes that are kept as drafts, `waits_for` the people who may accept them.

    `warnings` are sentences about what the changed parts declare; they hold nothing up.
    """

    changes: tuple[Change, ...]
    waits: tuple[str, ...] = ()
    waits_for: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def apply_manifest(edit: Edit, document: Json, *, prune: bool = False) -> Applied:
    """Make the organization what the manifest says and return what that changed; what it does not name stays.

    With `prune`, what it does not name is retired, departments and people aside. Policies of an actor who may not publish, and
    what gives agents, tools, models or purposes more than they have, become drafts. Raises InvalidManifest with a pointer for each problem, InvalidCondition, Conflict, Forbidden.
    """
    current = edit.registry.manifest
    wanted = parse_manifest(document, edit.registry.known())
    changes = [
        each for each in diff(current, wanted, prune=prune) if each.mark is not Mark.REMOVE or each.kind in _REMOVE
    ]
    if not changes:
        edit.require(Permission.REGISTRY_READ)
        return Applied(())
    after = merge(current, wanted, prune=prune)
    _check(edit, after, document=document)
    for change in changes:
        if change.kind == "queue" and change.mark is Mark.REMOVE:
            check_unnamed(change.name, after)
    if wanted.organization != type(wanted.organization)() and any(each.kind == "organization" for each in changes):
        change_settings(edit, wanted.organization)
        edit.registry.manifest = merge(current, Manifest(organization=wanted.organization))
    for change in sorted(changes, key=lambda each: _ORDER.index(each.kind)):
        _apply(edit, change, current, after=after)
    changes = [_marked(each, edit.waiting) for each in changes]
    waits = tuple(each.name for each in changes if each.waits)
    may = [role for role, permissions in ROLE_PERMISSIONS.items() if Permission.POLICY_PUBLISH in permissions]
    people = [person.email for person in current.people if any(role in person.roles for role in may)]
    touched = {kind: {each.name for each in changes if each.kind == kind} for kind in _WARNED}
    warnings = echo_warnings(tool for tool in after.tools if tool.name in touched["tool"])
    warnings += model_warnings(after, touched["model"], touched["purpose"], secrets=edit.registry.secrets)
    warnings += remote_warnings(after, touched["agent"], secrets=edit.registry.secrets)
    commands, secrets = edit.drivers.mcp_commands, edit.registry.secrets
    warnings += mcp_warnings(after, touched["mcp_server"], commands=commands, secrets=secrets)
    return Applied(tuple(changes), waits, tuple(people) if waits else (), tuple(warnings))


def _marked(change: Change, waiting: Mapping[tuple[str, str], tuple[str, ...]]) -> Change:
    """Return a change as it was made: marked `!` where it gives something and therefore waits."""
    reasons = waiting.get((change.kind, change.name))
    if reasons is None:
        return change
    new = [reason for reason in reasons if reason not in change.detail]
    detail = "; ".join([*new, *([change.detail] if change.detail else [])])
    return replace(change, mark=Mark.WIDEN if reasons else change.mark, detail=detail, waits=True)


_WARNED: Final = ("tool", "model", "purpose", "agent", "mcp_server")
_ORDER: Final = (
    "organization",
    "department",
    "queue",
    "person",
    "mcp_server",
    "tool",
    "model",
    "purpose",
    "agent",
    "policy",
    "budget",
    "workflow",
    "schedule",
    "hook",
)


def _check(edit: Edit, after: Manifest, *, document: Json) -> None:
    """Compile every rule that will stand against every tool that will stand, once; errors point into the document.

    Times of schedules are checked too, since only operations know the zones.
    """
    _check_times(after)
    ids = edit.drivers.ids
    tools: list[Tool] = [
        tool_of(spec, edit.registry.find("tool", spec.name) or Entry(ids.new())) for spec in after.tools
    ]
    try:
        check_rules(edit, after.policies, tools=tools)
    except InvalidCondition as error:
        written = document.get("policies") if isinstance(document, dict) else None
        places = {each.get("id"): index for index, each in enumerate(cast(Any, written or []))}
        errors = [FieldError(_place(each.pointer, places), each.detail) for each in error.errors]
        raise InvalidCondition(error.detail, errors=errors) from error


def _check_times(after: Manifest) -> None:
    problems: list[FieldError] = []
    for schedule in after.schedules:
        try:
            check_cron(schedule.cron, schedule.timezone)
        except InvalidRequest as error:
            at = pointer("/schedules", schedule.name)
            problems += [FieldError(at + each.pointer, each.detail) for each in error.errors]
    if problems:
        raise refuse_manifest(problems)


def _place(place: str, places: Mapping[str, int]) -> str:
    """Return a pointer that names a policy by its id as one to where it stands in the document, if it does."""
    _, _, rest = place.partition("/policies/")
    id, _, field = rest.partition("/")
    return f"/policies/{places[id]}/{field}" if id in places else place


def _apply(edit: Edit, change: Change, current: Manifest, *, after: Manifest) -> None:
    if change.kind == "organization":
        return
    before = _find(current, change)
    spec = _find(after, change)
    if spec is None:
        _REMOVE[change.kind](edit, change.name)
    elif spec == before:
        return  # a glob takes in more though the agent itself is as it was: nothing to store
    elif change.kind == "policy":
        save_policy(edit, spec, checked=True)
    elif before is None and not _waits_already(edit, change):
        _ADD[change.kind](edit, spec)
    else:
        _CHANGE[change.kind](edit, spec)


def _waits_already(edit: Edit, change: Change) -> bool:
    """Say whether this agent, tool, model or purpose is registered, though no version of it is in force."""
    entry = edit.registry.find(change.kind, change.name)
    return (
        change.kind in ("agent", "tool", "model", "purpose", "mcp_server") and entry is not None and not entry.retired
    )


def _find(manifest: Manifest, change: Change) -> Any:
    members, key = _PLACES[change.kind]
    return next((each for each in getattr(manifest, members) if getattr(each, key) == change.name), None)


_PLACES: Final = {
    "department": ("departments", "name"),
    "queue": ("queues", "name"),
    "person": ("people", "email"),
    "tool": ("tools", "name"),
    "model": ("models", "name"),
    "purpose": ("purposes", "name"),
    "agent": ("agents", "name"),
    "policy": ("policies", "id"),
    "budget": ("budgets", "id"),
    "workflow": ("workflows", "name"),
    "schedule": ("schedules", "name"),
    "hook": ("hooks", "name"),
    "mcp_server": ("mcp_servers", "name"),
}

_ADD: Final[Mapping[str, Callable[[Edit, Any], object]]] = {
    "department": create_department,
    "queue": create_queue,
    "person": add_member,
    "tool": lambda edit, spec: register_tool(edit, spec, checked=True),
    "model": MODELS.register,
    "purpose": PURPOSES.register,
    "agent": register_agent,
    "budget": create_budget,
    "workflow": create_workflow,
    "schedule": create_schedule,
    "hook": create_hook,
    "mcp_server": MCP_SERVERS.register,
}
_CHANGE: Final[Mapping[str, Callable[[Edit, Any], object]]] = {
    "department": change_department,
    "queue": change_queue,
    "person": lambda edit, spec: set_roles(edit, find_member(edit.organization_id, spec.email), frozenset(spec.roles)),
    "tool": lambda edit, spec: change_tool(edit, spec, checked=True),
    "model": MODELS.change,
    "purpose": PURPOSES.change,
    "agent": change_agent,
    "budget": change_budget,
    "workflow": change_workflow,
    "schedule": change_schedule,
    "hook": change_hook,
    "mcp_server": MCP_SERVERS.change,
}
_REMOVE: Final[Mapping[str, Callable[[Edit, str], object]]] = {
    "queue": lambda edit, name: delete_queue(edit, name, checked=True),
    "tool": retire_tool,
    "model": MODELS.retire,
    "purpose": PURPOSES.retire,
    "agent": lambda edit, name: move_agent(edit, name, AgentStatus.RETIRED),
    "policy": retire_policy,
    "budget": retire_budget,
    "workflow": retire_workflow,
    "schedule": retire_schedule,
    "hook": retire_hook,
    "mcp_server": MCP_SERVERS.retire,
}
