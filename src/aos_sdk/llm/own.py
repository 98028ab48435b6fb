"""The tools that the loop itself brings, and what each call of a model is: a job, or the reason why it is none. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, cast

from aos_sdk.checks import schema_problems
from aos_sdk.frames import Json
from aos_sdk.llm.calls import Wanted
from aos_sdk.llm.rules import Rules
from aos_sdk.plans import Plan, PlanError, plan_schema, read_plan

OWN_PREFIX: Final = "aos_"
"""What stands before the name of one of ours where a tool of the organization has that name."""
_REPORT: Final[Json] = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["progress", "kpi", "finding"]},
        "value": {"description": "What is reported: a sentence, or the figure of a KPI"},
        "name": {"type": "string", "description": "Of a KPI: its name"},
        "code": {"type": "string", "description": "Of a finding: a short code, in small letters"},
        "subject": {"type": "string", "description": "Of a finding: what it is about, by its id"},
    },
    "required": ["kind", "value"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class CallTool:
    """Call a tool."""

    name: str
    arguments: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Delegate:
    """Hand one piece of work to an agent and wait for what it brings."""

    agent: str
    input: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class CarryOut:
    """Carry out a plan."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Report:
    """Tell the run's watchers."""

    kind: Literal["progress", "kpi", "finding"]
    value: Json
    fields: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class ReadKpis:
    """Read the run's KPIs."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Give the answer."""

    value: Json


@dataclass(frozen=True, slots=True)
class Invalid:
    """The call cannot be made: what the model is told. `misfit` marks an answer that does not fit its schema."""

    text: str
    misfit: bool = False


Job: TypeAlias = CallTool | Delegate | CarryOut | Report | ReadKpis
Meaning: TypeAlias = Job | Finish | Invalid


def own_name(rules: Rules, name: str) -> str:
    """Return how one of our tools is called, beside the tools of the organization."""
    return f"{OWN_PREFIX}{name}" if name in rules.tools else name


def own_tools(rules: Rules) -> dict[str, tuple[str, Json]]:
    """Return description and schema of each of our tools, by the name that the model sees."""
    found: dict[str, tuple[str, Json]] = {}
    agents: list[Json] = list(rules.agents)
    if rules.is_executive:
        told = "Carry out a plan of tasks by other agents and get what came of each; what fails can be planned anew"
        found["plan"] = (told, plan_schema(rules.agents, rules.loop.plan_tasks))
    if agents:
        schema: Json = {
            "type": "object",
            "properties": {
                "agent": {"type": "string", "enum": agents},
                "task": {"type": "string", "description": "What is to be done, with all that the agent must know"},
                "input": {"type": "object", "description": "Values that it is given beside the words"},
            },
            "required": ["agent", "task"],
            "additionalProperties": False,
        }
        found["delegate"] = ("Hand one piece of work to another agent and get its result", schema)
    if rules.reach.type == "executive":
        found["kpis"] = (
            "Read what was last reported of each KPI of this run",
            {"type": "object", "properties": {}, "additionalProperties": False},
        )
    found["report"] = ("Tell those who watch: progress, the figure of a KPI, or a finding", _REPORT)
    found["finish"] = ("Give the answer, once everything is done", answer_schema(rules))
    return {own_name(rules, name): told for name, told in found.items()}


def answer_schema(rules: Rules) -> Json:
    """Return the schema of what `finish` is called with: the answer itself where it is an object, else `answer`."""
    output = rules.loop.output
    if _is_object(output):
        return output
    answer: Json = {"type": "string", "description": "The answer"} if output is None else output
    return {"type": "object", "properties": {"answer": answer}, "required": ["answer"], "additionalProperties": False}


def _is_object(schema: Json) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "object"


def finish(rules: Rules, value: Json) -> Finish | Invalid:
    """Return the end that a value gives, or why it is not the answer that is wanted."""
    if rules.loop.output is None:
        return Finish(value) if isinstance(value, str) else Invalid("`answer` must be a text", misfit=True)
    problems = schema_problems(value, rules.loop.output)
    if problems:
        return Invalid(f"the answer does not fit its schema: {'; '.join(problems)}", misfit=True)
    return Finish(value)


def meaning_of(rules: Rules, wanted: Wanted, *, plans: int) -> Meaning:
    """Return what a call of a model is; `plans` counts those that were carried out before."""
    if wanted.problem:
        return Invalid(wanted.problem)
    offer = rules.tools.get(wanted.name) or rules.tools.get(wanted.name.replace(".", "_"))
    if offer is not None:
        return CallTool(offer.name, wanted.arguments)
    own = own_tools(rules)
    if wanted.name not in own:
        names = ", ".join((*rules.tools, *own))
        return Invalid(f"there is no tool `{wanted.name[:80]}`; there are {names}")
    name = wanted.name.removeprefix(OWN_PREFIX) if wanted.name not in _NAMES else wanted.name
    if name == "plan":
        return _plan(rules, wanted.arguments, plans)
    if name == "finish":
        given = dict(wanted.arguments)
        return finish(rules, given if _is_object(rules.loop.output) else given.get("answer"))
    problems = schema_problems(wanted.arguments, own[wanted.name][1])
    if problems:
        return Invalid("; ".join(problems))
    return _made(name, wanted.arguments)


_NAMES: Final = frozenset({"plan", "delegate", "kpis", "report", "finish"})


def _made(name: str, given: Mapping[str, Any]) -> Job:
    if name == "delegate":
        return Delegate(given["agent"], {**(given.get("input") or {}), "task": given["task"]})
    if name == "kpis":
        return ReadKpis()
    fields = {key: given[key] for key in ("name", "code", "subject") if key in given}
    kind = cast(Literal["progress", "kpi", "finding"], given["kind"])
    return Report(kind, given["value"], fields)


def _plan(rules: Rules, written: Mapping[str, Json], plans: int) -> CarryOut | Invalid:
    if plans >= rules.loop.plans:
        return Invalid(f"{plans} plans were carried out, and no more may be: finish with what there is")
    try:
        return CarryOut(read_plan(dict(written), agents=rules.agents, tasks_max=rules.loop.plan_tasks))
    except PlanError as error:
        return Invalid(f"the plan cannot be carried out: {error}")
