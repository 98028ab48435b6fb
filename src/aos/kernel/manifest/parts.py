"""Reads each part of a manifest that the schema has passed into its value.

A reader takes a `Part`, which knows where it stands: what cannot be read is noted there with its pointer and given a
harmless value, so that reading goes on and every problem is found.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import cast

from aos.kernel.agents import AgentType, Objective, Runtime, RuntimeKind, ToolPermission
from aos.kernel.errors import FieldError, InvalidRequest
from aos.kernel.json import Json
from aos.kernel.limits import NANOS, TOOL_TIMEOUT_SECONDS
from aos.kernel.manifest.outside_tools import OPENAPI, outside_problems, usual_args
from aos.kernel.manifest.templates import money_paths, parse_duration
from aos.kernel.manifest.values import (
    AgentSpec,
    BudgetPeriod,
    BudgetScope,
    BudgetSpec,
    DepartmentSpec,
    OrganizationSpec,
    PersonSpec,
    QueueSpec,
    ToolSpec,
)
from aos.kernel.money import Money, parse_money
from aos.kernel.people import Role
from aos.kernel.policy.values import Approvers, Outcome, Rule
from aos.kernel.redaction import Capture, CaptureMode, Personal
from aos.kernel.schema import check_schema, pointer
from aos.kernel.tools import Compensation, Effect, FactLookup, Repeat, ResultTrust, ToolTransport, default_repeat

Fields = dict[str, Json]

NOTHING = Money(0, "EUR")
"""What stands for an amount that could not be read; the manifest is refused then."""


class Part:
    """One object of the manifest, its place, and where its problems are noted."""

    def __init__(self, fields: Fields, at: str, problems: list[FieldError]) -> None:
        self.fields = fields
        self.at = at
        self.problems = problems

    def note(self, name: str, detail: str) -> None:
        """Note a problem with a field, or with the part itself where `name` is empty."""
        self.problems.append(FieldError(pointer(self.at, name) if name else self.at, detail))

    def note_at(self, at: str, detail: str) -> None:
        """Note a problem at a pointer below this part."""
        self.problems.append(FieldError(at, detail))

    def sub(self, name: str) -> Part:
        """Return the object that a field holds; an empty one where there is none."""
        found = self.fields.get(name)
        return Part(found if isinstance(found, dict) else {}, pointer(self.at, name), self.problems)

    def subs(self, name: str) -> list[tuple[str, Part]]:
        """Return the objects that a field's map holds, by name."""
        inner = self.sub(name)
        return [(key, inner.sub(key)) for key in sorted(inner.fields)]

    def text(self, name: str, default: str = "") -> str:
        found = self.fields.get(name, default)
        return found if isinstance(found, str) else default

    def texts(self, name: str) -> tuple[str, ...]:
        found = self.fields.get(name)
        return tuple(cast(list[str], found)) if isinstance(found, list) else ()

    def money(self, name: str) -> Money:
        try:
            return parse_money(self.text(name))
        except InvalidRequest as error:
            self.note(name, error.detail)
            return NOTHING

    def count(self, name: str) -> int | None:
        found = self.fields.get(name)
        return int(found) if isinstance(found, int | float) else None

    def seconds(self, name: str, default: float) -> float:
        if name not in self.fields:
            return default
        try:
            return parse_duration(self.text(name))
        except InvalidRequest as error:
            self.note(name, error.detail)
            return default


def read_organization(part: Part) -> OrganizationSpec:
    """Read the organization's settings."""
    rates = part.fields.get("rates")
    return OrganizationSpec(
        name=cast(str | None, part.fields.get("name")),
        currency=cast(str | None, part.fields.get("currency")),
        timezone=cast(str | None, part.fields.get("timezone")),
        environment=cast(str | None, part.fields.get("environment")),
        rates=tuple((code, _rate(part, code)) for code in sorted(rates)) if isinstance(rates, dict) else None,
        run_clock=cast(bool | None, part.fields.get("run_clock")),
        hosts=tuple(sorted(part.texts("hosts"))) if "hosts" in part.fields else None,
        capture=_capture(part.sub("capture")) if isinstance(part.fields.get("capture"), dict) else None,
    )


def _capture(part: Part) -> Capture:
    named = part.texts("redact") if "redact" in part.fields else tuple(Personal)
    mode = part.text("models") or CaptureMode.NONE
    return Capture(CaptureMode(mode), tuple(kind for kind in Personal if kind in named))


def _rate(part: Part, code: str) -> int:
    """Return a rate in nanos, exactly as written: `0.92` is what its shortest spelling says."""
    rates = part.sub("rates")
    nanos = Decimal(str(rates.fields[code])) * NANOS
    if nanos != int(nanos) or not 0 < nanos < 1_000_000 * NANOS:
        rates.note(code, f"rate `{rates.fields[code]}` must be over 0, under a million, with at most nine places")
    return int(nanos)


def read_department(name: str, part: Part) -> DepartmentSpec:
    """Read one department."""
    return DepartmentSpec(name, part.text("cost_center"))


def read_queue(name: str, part: Part) -> QueueSpec:
    """Read one queue."""
    return QueueSpec(name, part.count("concurrency") or 1)


def read_person(email: str, part: Part) -> PersonSpec:
    """Read one person; the address is lower case."""
    return PersonSpec(email, part.text("name"), tuple(sorted(Role(role) for role in part.texts("roles"))))


def read_tool(name: str, part: Part) -> ToolSpec:
    """Read one tool. Arguments that its schema does not name are refused, unless it says otherwise itself."""
    effect = Effect(part.text("effect"))
    if OPENAPI in part.fields:
        part.note(OPENAPI, "an OpenAPI document is read by `aos apply`, which sends the operation as `http` and `args`")
    part = Part(usual_args(part.fields), part.at, part.problems)
    schema = read_arguments_schema(part, "args")
    transport = next((each for each in ToolTransport if each in part.fields), ToolTransport.HTTP)
    spec = ToolSpec(
        name=name,
        effect=effect,
        repeat=Repeat(part.text("repeat", default_repeat(effect))),
        result_trust=ResultTrust(part.text("result_trust", ResultTrust.UNTRUSTED)),
        transport=transport,
        entry=part.text(transport),
        schema=schema,
        sinks=part.texts("sinks"),
        money=tuple(money_paths(schema)),
        lookups=tuple(_lookup(key, each) for key, each in part.subs("facts")),
        price=part.sub("price").money("per_call") if "price" in part.fields else None,
        reversible=part.fields.get("reversible") is True,
        timeout_seconds=_tool_timeout(part),
        description=part.text("description"),
        fixed=part.sub("fixed").fields,
        concurrency=part.count("concurrency"),
        compensate=_compensation(part.sub("compensate")) if "compensate" in part.fields else None,
        options=part.sub(transport).fields,
    )
    if transport in part.fields:
        part.problems.extend(outside_problems(spec, part.at))
    return spec


def _tool_timeout(part: Part) -> int:
    seconds = math.ceil(part.seconds("timeout", TOOL_TIMEOUT_SECONDS))
    if not seconds:
        part.note("timeout", "`timeout` must be longer than 0s: no call would be given any time")
    return seconds


def read_arguments_schema(part: Part, name: str) -> Json:
    """Read the JSON Schema of arguments or of a run's input: an object, closed unless it says otherwise."""
    schema: Fields = dict(part.sub(name).fields)
    schema.setdefault("type", "object")
    schema.setdefault("additionalProperties", False)
    if schema["type"] != "object":
        part.sub(name).note("type", "must be `object`: what is given has names")
    part.problems.extend(check_schema(schema, pointer(part.at, name)))
    return schema


def _compensation(part: Part) -> Compensation:
    return Compensation(part.text("tool"), part.sub("arguments").fields)


def _lookup(name: str, part: Part) -> FactLookup:
    arguments = part.sub("args").fields
    return FactLookup(name, part.text("tool"), tuple((key, str(path)) for key, path in sorted(arguments.items())))


def read_agent(name: str, part: Part) -> AgentSpec:
    """Read one agent; its budget is read apart."""
    runtime = part.sub("runtime")
    return AgentSpec(
        name=name,
        type=AgentType(part.text("type")),
        owner=part.text("owner").lower(),
        department=part.text("department"),
        goal=part.text("goal"),
        objectives=tuple(
            Objective(**cast(dict[str, str], each)) for each in cast(list[Fields], part.fields.get("objectives") or [])
        ),
        runtime=_runtime(runtime) if "runtime" in part.fields else None,
        tools=tuple(_permission(each) for each in cast(list[Json], part.fields.get("tools") or [])),
        models=part.texts("models"),
        delegates=part.texts("delegates"),
        roles=part.texts("roles"),
        permissions=tuple(sorted(part.texts("permissions"))),
        risk=part.text("risk", "normal"),
        price_per_second=part.sub("price").money("per_second") if "price" in part.fields else None,
        queue=part.text("queue"),
        concurrency=part.count("concurrency"),
    )


def _runtime(part: Part) -> Runtime:
    kind = next(each for each in RuntimeKind if each in part.fields)
    if "output" in (options := part.sub(kind)).fields:
        options.problems.extend(check_schema(options.fields["output"], pointer(options.at, "output")))
    return Runtime(kind, part.text(kind), part.fields.get("inline") is True, part.sub(kind).fields)


def _permission(written: Json) -> ToolPermission:
    if isinstance(written, dict):
        effects = cast(list[str], written.get("effects") or [])
        return ToolPermission(str(written["tools"]), tuple(Effect(each) for each in effects))
    return ToolPermission(str(written))


def read_own_budget(agent: str, part: Part) -> BudgetSpec:
    """Read the `budget` of an agent: a budget of its own with the id `agent-NAME`."""
    per = BudgetPeriod(part.text("per", BudgetPeriod.MONTH))
    return BudgetSpec(f"agent-{agent}", BudgetScope.AGENT, agent, limit=part.money("limit"), per=per)


def read_policy(id: str, part: Part) -> Rule:
    """Read one policy as a rule of version 0; its condition is compiled by whoever publishes it."""
    outcome = Outcome(part.text("outcome"))
    if "approvers" in part.fields and outcome is not Outcome.ESCALATE:
        part.note("approvers", f"only `outcome: escalate` asks approvers, not `{outcome}`")
    return Rule(
        id=id,
        version=0,
        outcome=outcome,
        agents=part.texts("agents"),
        actions=part.texts("actions"),
        when=part.text("when"),
        reason=part.text("reason"),
        effects=part.texts("effects"),
        approvers=_approvers(part.sub("approvers")) if outcome is Outcome.ESCALATE else None,
    )


def _approvers(part: Part) -> Approvers:
    usual = Approvers()
    expires = math.ceil(part.seconds("expires", usual.expires_seconds))
    if expires <= 0:
        part.note("expires", "must be longer than nothing")
    return Approvers(part.text("role", usual.role), usual.quorum, expires)


def read_budget(id: str, part: Part) -> BudgetSpec:
    """Read one budget."""
    scope, _, name = part.text("scope").partition(":")
    warnings = tuple(sorted(int(each.removesuffix("%")) for each in part.texts("warn_at")))
    per = BudgetPeriod(part.text("per"))
    return BudgetSpec(id, BudgetScope(scope), name, limit=part.money("limit"), per=per, warn_at_percent=warnings)
