"""Registered things in the form in which people write them: what a manifest holds, and what is shown and patched.

`read_part` reads one such part with the manifest's own checks; the `*_document` functions write it back, complete.
"""

from __future__ import annotations

from typing import Any, Final, cast

from aos.kernel.errors import FieldError, InvalidManifest, InvalidRequest
from aos.kernel.json import Json
from aos.kernel.manifest.parse import parse_manifest
from aos.kernel.manifest.schema import manifest_schema
from aos.kernel.manifest.values import (
    AgentSpec,
    BudgetSpec,
    HookSpec,
    Manifest,
    ScheduleSpec,
    TaskSpec,
    ToolSpec,
    WorkflowSpec,
)
from aos.kernel.policy.values import Approvers, Rule
from aos.kernel.schema import check, pointer
from aos.kernel.workflow.spec import JOIN_ALL, OnFailure
from aos.operations.registry import Registry

Fields = dict[str, Json]

_NAMES: Final = cast(dict[str, Json], cast(Fields, manifest_schema())["$defs"])
_KINDS_OF_NAMES: Final = {"tools": "tool_name", "queues": "queue", "models": "model"}
_LISTS: Final = {"policies": "id", "budgets": "id", "people": "email"}


def read_part(registry: Registry, kind: str, name: str, *, fields: Fields) -> Manifest:
    """Return the manifest that holds one part of a kind (`agents`, `tools`, ...), checked against what is registered.

    Raises InvalidRequest whose pointers lead into `fields`, the name at `/name`.
    """
    key = _LISTS.get(kind)
    if key is None and (wrong := check(name, _NAMES[_KINDS_OF_NAMES.get(kind, "name")], "/name")):
        raise refuse_fields(wrong)
    part: Json = [{key: name, **fields}] if key else {name: fields}
    at = pointer(f"/{kind}", 0 if key else name)
    try:
        return parse_manifest({"aos": 1, kind: part}, registry.known())
    except InvalidManifest as error:
        errors = [FieldError(_within(each.pointer, at, key=key), each.detail) for each in error.errors]
        raise refuse_fields(errors) from error


def refuse_fields(errors: list[FieldError]) -> InvalidRequest:
    """Return the error for wrong fields, named by the first of them."""
    first, more = errors[0], f", and {len(errors) - 1} more" if len(errors) > 1 else ""
    where = f"`{first.pointer}`: " if first.pointer else ""
    return InvalidRequest(f"{where}{first.detail}{more}", errors=errors)


def _within(place: str, at: str, *, key: str | None) -> str:
    """Return a manifest's pointer as one into the part alone; what lies outside concerns its name."""
    if place == f"{at}/{key}":
        return "/email" if key == "email" else "/name"
    return place.removeprefix(at) if place == at or place.startswith(f"{at}/") else "/name"


def merge_patch(target: Fields, patch: Fields) -> Fields:
    """Return `target` changed by a JSON merge patch (RFC 7396): null removes, objects merge, all else replaces."""
    merged = dict(target)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            inner = merged.get(name)
            merged[name] = merge_patch(inner if isinstance(inner, dict) else {}, value)
        else:
            merged[name] = value
    return merged


def agent_document(spec: AgentSpec) -> Fields:
    """Return an agent as a manifest writes it."""
    found: dict[str, Any] = {
        "type": spec.type.value,
        "owner": spec.owner,
        "department": spec.department,
        "goal": spec.goal,
        "objectives": [_filled(name=each.name, kpi=each.kpi, target=each.target) for each in spec.objectives],
        "tools": [
            {"tools": each.pattern, "effects": [effect.value for effect in each.effects]}
            if each.effects
            else each.pattern
            for each in spec.tools
        ],
        "models": list(spec.models),
        "delegates": list(spec.delegates),
        "roles": list(spec.roles),
        "permissions": list(spec.permissions),
        "risk": spec.risk,
        "queue": spec.queue,
    }
    if spec.runtime is not None:
        found["runtime"] = {spec.runtime.kind: spec.runtime.entry or dict(spec.runtime.options)}
        if spec.runtime.inline:
            found["runtime"]["inline"] = True
    if spec.concurrency is not None:
        found["concurrency"] = spec.concurrency
    if spec.price_per_second is not None:
        found["price"] = {"per_second": str(spec.price_per_second)}
    return {name: value for name, value in found.items() if value != ""}


def tool_document(spec: ToolSpec) -> Fields:
    """Return a tool as a manifest writes it."""
    found: Fields = {
        spec.transport.value: spec.entry or dict(spec.options),
        "effect": spec.effect.value,
        "repeat": spec.repeat.value,
        "result_trust": spec.result_trust.value,
        "sinks": list(spec.sinks),
        "args": spec.schema,
        "fixed": dict(spec.fixed),
        "facts": {each.name: {"tool": each.tool, "args": dict(each.arguments)} for each in spec.lookups},
        "reversible": spec.reversible,
        "timeout": duration_text(spec.timeout_seconds),
        "description": spec.description,
    }
    if spec.concurrency is not None:
        found["concurrency"] = spec.concurrency
    if spec.price is not None:
        found["price"] = {"per_call": str(spec.price)}
    if spec.compensate is not None:
        found["compensate"] = {"tool": spec.compensate.tool, "arguments": dict(spec.compensate.arguments)}
    return found


def policy_document(rule: Rule) -> Fields:
    """Return a policy as a manifest writes it, without its id."""
    found: dict[str, Any] = {
        "agents": list(rule.agents),
        "actions": list(rule.actions),
        "effects": list(rule.effects),
        "outcome": rule.outcome.value,
        "reason": rule.reason,
    }
    if rule.when:
        found["when"] = rule.when
    if rule.approvers is not None:
        found["approvers"] = _approvers(rule.approvers)
    return found


def _approvers(approvers: Approvers) -> Fields:
    return {"role": approvers.role, "quorum": approvers.quorum, "expires": duration_text(approvers.expires_seconds)}


def budget_document(spec: BudgetSpec) -> Fields:
    """Return a budget as a manifest writes it, without its id."""
    return {
        "scope": scope_text(spec.scope.value, spec.scope_name),
        "limit": str(spec.limit),
        "per": spec.per.value,
        "warn_at": [f"{percent}%" for percent in spec.warn_at_percent],
        "on_limit": spec.on_limit,
    }


def scope_text(scope: str, name: str) -> str:
    """Return a budget's scope as it is written: `organization`, `department:finance`."""
    return f"{scope}:{name}" if name else scope


def _filled(**fields: str) -> Fields:
    return {name: value for name, value in fields.items() if value}


def workflow_document(spec: WorkflowSpec) -> Fields:
    """Return a workflow as a manifest writes it."""
    found: Fields = {"description": spec.description, "tasks": {each.name: _task(each) for each in spec.tasks}}
    if spec.input is not None:
        found["input"] = spec.input
    if spec.output is not None:
        found["output"] = spec.output
    return found


def _task(task: TaskSpec) -> Fields:
    found: Fields = {
        **_filled(agent=task.agent, workflow=task.workflow, when=task.when or "", queue=task.queue),
        "after": list(task.after),
        "retry": {
            "attempts": task.retry.attempts,
            "backoff": duration_text(task.retry.backoff_seconds),
            "max_backoff": duration_text(task.retry.max_backoff_seconds),
            **({"on": list(task.retry.on)} if task.retry.on else {}),
            **({"never": list(task.retry.never)} if task.retry.never else {}),
        },
    }
    if task.input is not None:
        found["input"] = task.input
    if task.for_each is not None:
        found["for_each"] = task.for_each
    if task.timeout_seconds is not None:
        found["timeout"] = duration_text(task.timeout_seconds)
    if task.total_timeout_seconds is not None:
        found["total_timeout"] = duration_text(task.total_timeout_seconds)
    if task.join != JOIN_ALL:
        found["join"] = task.join if isinstance(task.join, str) else {"at_least": task.join.at_least}
    if task.on_failure is not OnFailure.FAIL:
        found["on_failure"] = task.on_failure.value
    if task.fallback is not None:
        found["fallback"] = {"agent": task.fallback.agent}
    if task.priority is not None:
        found["priority"] = task.priority
    return found


def schedule_document(spec: ScheduleSpec) -> Fields:
    """Return a schedule as a manifest writes it."""
    found: Fields = {
        **_filled(workflow=spec.workflow, agent=spec.agent),
        "cron": spec.cron,
        "timezone": spec.timezone,
        "goal": spec.goal,
        "labels": dict(spec.labels),
        "priority": spec.priority,
        "catch_up": spec.catch_up.value,
        "overlap": spec.overlap.value,
        "owner": spec.owner,
        "enabled": spec.enabled,
    }
    return found if spec.input is None else {**found, "input": spec.input}


def hook_document(spec: HookSpec) -> Fields:
    """Return a hook as a manifest writes it."""
    mapping = spec.mapping
    rest: Fields = {"run": mapping.run} if spec.signal else {"goal": mapping.goal, "labels": dict(mapping.labels)}
    return {
        **_filled(workflow=spec.workflow, agent=spec.agent, signal=spec.signal),
        "accepts": {"types": list(spec.types), "sources": list(spec.sources)},
        "mapping": {"input": mapping.input, **rest},
        "owner": spec.owner,
        "enabled": spec.enabled,
    }


def duration_text(seconds: float) -> str:
    """Return a duration as it is written, in the largest unit that keeps it whole: `10m`, `90s`, `1500ms`."""
    milliseconds = round(seconds * 1000)
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)):
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"
