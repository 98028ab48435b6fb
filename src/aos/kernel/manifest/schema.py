"""The JSON Schema (2020-12) of the manifest: published for editors, and the first check of every manifest.

An unknown field is refused where it stands. What a schema cannot say (references, cycles, sinks) is checked in `parse`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from aos.kernel.agents import AgentType
from aos.kernel.json import Json
from aos.kernel.limits import (
    ATTEMPTS_MAX,
    CONCURRENCY_MAX,
    CONDITION_LENGTH_MAX,
    ERROR_NAMES_MAX,
    NAME_LENGTH_MAX,
    QUEUE_LENGTH_MAX,
    RULES_MAX,
    TASK_PRIORITY_MAX,
    TASKS_PER_RUN_MAX,
)
from aos.kernel.manifest.mcp_schema import mcp_server_schema, mcp_tool_schema
from aos.kernel.manifest.models_schema import host_schema, model_schema, purpose_schema
from aos.kernel.manifest.outside_schema import email_tool_schema, http_schema, openapi_schema, sql_schema
from aos.kernel.manifest.outside_tools import OPENAPI
from aos.kernel.manifest.runtimes_schema import runtime_schema
from aos.kernel.manifest.starts_schema import hook_schema, schedule_schema
from aos.kernel.manifest.values import BudgetPeriod
from aos.kernel.people import Permission, Role
from aos.kernel.policy.values import Outcome
from aos.kernel.redaction import CaptureMode, Personal
from aos.kernel.tools import Effect, OwnTool, Repeat, ResultTrust, ToolTransport
from aos.kernel.workflow.spec import OnFailure

SCHEMA_ID: Final = "urn:aos:manifest:1"

NAME_PATTERN: Final = "^[a-z][a-z0-9]*([_-][a-z0-9]+)*$"
TASK_PATTERN: Final = "^[a-z][a-z0-9_]*$"
TOOL_PATTERN: Final = "^[a-z][a-z0-9_-]*([.][a-z0-9][a-z0-9_-]*)*$"
ENTRY_PATTERN: Final = "^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_.]*$"
SCOPE_PATTERN: Final = "^organization$|^(department|agent):[a-z][a-z0-9_-]*$"
MONEY_PATTERN: Final = "^[0-9]{1,10}([.][0-9]{1,9})? [A-Z]{3}$"
DURATION_PATTERN: Final = "^[0-9]{1,7}(ms|s|m|h|d)$"
RISKS: Final = ("low", "normal", "high")
TOOL_NAME_MAX: Final = 64
"""Model providers take tools' names up to this length."""

_JsonObject = dict[str, Json]


def manifest_schema() -> Json:
    """Return the JSON Schema of `aos.yaml`."""
    return _SCHEMA


def _text(description: str, **more: Json) -> _JsonObject:
    return {"type": "string", "description": description, "maxLength": NAME_LENGTH_MAX, **more}


def _prose(description: str) -> _JsonObject:
    return {"type": "string", "description": description, "maxLength": 4_000}


def _like(pattern: str, *examples: Json, description: str, **more: Json) -> _JsonObject:
    return _text(description, pattern=pattern, examples=list(examples), **more)


def _ref(name: str, description: str = "") -> _JsonObject:
    return {"$ref": f"#/$defs/{name}", "description": description} if description else {"$ref": f"#/$defs/{name}"}


def _list(items: Json, description: str = "", **more: Json) -> _JsonObject:
    found: _JsonObject = {"type": "array", "items": items, "maxItems": 1_000, **more}
    return {**found, "description": description} if description else found


def _object(properties: _JsonObject, *, required: tuple[str, ...] = (), description: str = "") -> _JsonObject:
    found: _JsonObject = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        found["required"] = list(required)
    return {**found, "description": description} if description else found


def _map(names: str, values: Json, description: str) -> _JsonObject:
    return {
        "type": "object",
        "description": description,
        "propertyNames": _ref(names),
        "additionalProperties": values,
        "maxProperties": 10_000,
    }


def _one_of(values: type[StrEnum], description: str, *, default: StrEnum | None = None) -> _JsonObject:
    found: _JsonObject = {"enum": [value.value for value in values], "description": description}
    return found if default is None else {**found, "default": default.value}


def _concurrency(description: str) -> _JsonObject:
    return {"type": "integer", "minimum": 1, "maximum": CONCURRENCY_MAX, "description": description}


_ORGANIZATION: Final = _object(
    {
        "name": _text("How the organization is called", minLength=1),
        "currency": _ref("currency", "The currency of its books (ISO 4217); cannot change once money was booked in it"),
        "timezone": _text("The zone of its days, months and office hours", examples=["Europe/Berlin"], minLength=1),
        "environment": _ref("name", "What conditions read as `environment`: `production`, `staging` or another name"),
        "rates": {
            "type": "object",
            "description": "What one unit of another currency is worth in ours; a call priced in a currency without a "
            "rate is refused",
            "propertyNames": _ref("currency"),
            "additionalProperties": {
                "anyOf": [
                    {"type": "number", "exclusiveMinimum": 0},
                    {"type": "string", "format": "money", "exclusiveMinimum": 0},
                ]
            },
            "examples": [{"USD": 0.92}],
        },
        "hosts": _list(
            host_schema(),
            "The hosts that may be reached: of models beside their providers' own, of agents elsewhere and of "
            "receivers of notifications; to change it is for who may publish "
            "policies",
            uniqueItems=True,
        ),
        "capture": _object(
            {
                "models": _one_of(
                    CaptureMode,
                    "What is kept of model calls: `text` keeps requests and answers, encrypted, for those who may read content",
                    default=CaptureMode.NONE,
                ),
                "redact": _list(
                    _one_of(Personal, "Something personal"),
                    "What is made unreadable in what is kept; all of it unless it says so",
                    uniqueItems=True,
                ),
            },
            description="What is kept of model calls beside their figures; to change it is for who may publish policies",
        ),
        "run_clock": {
            "type": "boolean",
            "description": "Whether a run may carry a clock of its own, as a rehearsal does; decisions record both times",
        },
    },
    description="Settings of the organization that the manifest is applied to; what is left out stays as it is",
)

_DEPARTMENT: Final = _object({"cost_center": _text("Where its costs are booked", default="")})

_QUEUE: Final = _object(
    {"concurrency": _concurrency("How many tasks of this queue may be under way at once")}, required=("concurrency",)
)

_PERSON: Final = _object(
    {
        "email": _text("Who this is, and how they sign in", format="email"),
        "name": _text("How they are called"),
        "roles": _list(_one_of(Role, "A role"), "What they may do here", uniqueItems=True),
    },
    required=("email",),
)

_LOOKUP: Final = _object(
    {
        "tool": _ref("tool_name", "A tool whose effect is `read`; it is called through the same gate"),
        "args": {
            "type": "object",
            "description": "Each argument of that tool, with the path in this call's arguments that it is taken from",
            "additionalProperties": _ref("path"),
        },
    },
    required=("tool",),
)

_TOOL: Final[_JsonObject] = {
    **_object(
        {
            "python": _ref("entry", "A function, `module:function`, run in a host process"),
            "aos": _one_of(OwnTool, "One of AOS's own readings, for agents that watch the others"),
            "mcp": mcp_tool_schema(),
            "http": http_schema(),
            OPENAPI: openapi_schema(),
            "sql": sql_schema(),
            "email": email_tool_schema(),
            "effect": _one_of(Effect, "What a call does to the world"),
            "repeat": _one_of(
                Repeat,
                "What to do when it is not known whether a call was made: make it again, ask again under the same "
                "idempotency key, or wait for a person. Reads are `safe`, all others `never` unless they say so",
            ),
            "result_trust": _one_of(
                ResultTrust,
                "How far the result may direct later acts: a record of ours, our own text, or an outsider's words. "
                "Never `trusted` for a tool that repeats its arguments",
                default=ResultTrust.UNTRUSTED,
            ),
            "sinks": _list(
                _ref("path"), "The arguments that direct the effect; their origin is looked up", uniqueItems=True
            ),
            "args": {
                "type": "object",
                "description": "The JSON Schema of the arguments, `type: object`; `format: money` marks an exact amount. "
                "Arguments that it does not name are refused",
            },
            "fixed": {
                "type": "object",
                "description": "Arguments that the operator sets: no caller can give or see them",
            },
            "facts": _map(
                "fact_name", _LOOKUP, "What conditions may read as `facts.NAME`: read tools called beforehand"
            ),
            "compensate": _object(
                {
                    "tool": _ref("tool_name", "The tool that undoes a call; it passes the gate as the call did"),
                    "arguments": {
                        "type": "object",
                        "description": "What it is called with; `${...}` reads `args` and `output` of the call",
                        "examples": [{"payment": "${output.id}", "amount": "${args.amount}"}],
                    },
                },
                required=("tool",),
                description="How a call is undone when its run is rolled back",
            ),
            "price": _object({"per_call": _ref("money")}, required=("per_call",), description="What a call costs"),
            "reversible": {"type": "boolean", "default": False, "description": "Whether the effect can be undone"},
            "timeout": _ref("duration", "How long a call may take; 60s unless it says so"),
            "concurrency": _concurrency(
                "How many calls may be under way at once; past it a caller waits or is told to"
            ),
            "description": _prose("What the tool does, for the agents that choose it"),
        },
        required=("effect",),
    ),
    "oneOf": [{"required": [each]} for each in (*ToolTransport, OPENAPI)],
}

_AGENT: Final = _object(
    {
        "type": _one_of(AgentType, "What kind of agent; the kind bounds what any permission can give"),
        "owner": _text("The person who answers for it", format="email"),
        "department": _ref("name", "Who pays for it"),
        "goal": _prose("What it is for, in a sentence"),
        "objectives": _list(
            _object(
                {"name": _text("What is to be reached"), "kpi": _text("Its figure"), "target": _text("Its target")},
                required=("name",),
            ),
            "What it is measured by",
        ),
        "runtime": runtime_schema(),
        "tools": _list(
            {
                "anyOf": [
                    _ref("tool_glob"),
                    _object(
                        {
                            "tools": _ref("tool_glob"),
                            "effects": _list(
                                _one_of(Effect, "An effect"), "Only tools of these", minItems=1, uniqueItems=True
                            ),
                        },
                        required=("tools",),
                    ),
                ]
            },
            "The tools it may call: names or globs, narrowed to effects; each becomes an allow rule",
        ),
        "models": _list(_ref("model_name"), "The models it may ask", uniqueItems=True),
        "delegates": _list(_ref("name"), "The agents it may hand work to", uniqueItems=True),
        "roles": _list(_ref("name"), "Roles that conditions may name", uniqueItems=True),
        "permissions": _list(_one_of(Permission, "A permission"), "What else of AOS it may use", uniqueItems=True),
        "risk": {"enum": list(RISKS), "default": "normal", "description": "What conditions read as `agent.risk`"},
        "concurrency": _concurrency("How many of its tasks may be under way at once"),
        "price": _object({"per_second": _ref("money")}, required=("per_second",), description="What its runtime costs"),
        "queue": _ref("queue", "The queue in which its tasks stand, where a workflow names no other"),
        "budget": _object(
            {"limit": _ref("money"), "per": _one_of(BudgetPeriod, "For how long", default=BudgetPeriod.MONTH)},
            required=("limit",),
            description="A limit on what this agent may cost; the same as a budget with the scope `agent:NAME`",
        ),
    },
    required=("type",),
)

_POLICY: Final = _object(
    {
        "id": _ref("name"),
        "agents": _list(_ref("agent_selector"), "Names, globs, `type:NAME` or `department:NAME`; none means all"),
        "actions": _list(_ref("action"), "`tool:NAME`, `delegate:NAME`, ... with globs; none means all"),
        "effects": _list(_one_of(Effect, "An effect"), "Only calls of tools with these effects", uniqueItems=True),
        "when": {
            "type": "string",
            "minLength": 1,
            "maxLength": CONDITION_LENGTH_MAX,
            "description": "A CEL condition; always, when left out",
            "examples": ['args.currency != "EUR" || args.amount > 1000'],
        },
        "outcome": _one_of(Outcome, "What is decided; deny beats escalate beats allow"),
        "approvers": _object(
            {
                "role": _one_of(
                    Role,
                    "Who may answer; of several rules that ask, each needs a yes of its role",
                    default=Role.APPROVER,
                ),
                "quorum": {"const": 1, "default": 1, "description": "How many must agree"},
                "expires": _ref("duration", "For how long the question stands; 4h unless it says so"),
            },
            description="Who answers an escalation",
        ),
        "reason": _prose("What people read when it decides; `{args.amount}` is filled in"),
    },
    required=("id", "outcome"),
)

_BUDGET: Final = _object(
    {
        "id": _ref("name"),
        "scope": _like(
            SCOPE_PATTERN, "department:finance", "agent:finance", "organization", description="What it limits"
        ),
        "limit": _ref("money"),
        "per": _one_of(BudgetPeriod, "For how long"),
        "warn_at": _list(
            _like("^([1-9][0-9]?|100)%$", "80%", description="A share of the limit"), "Where to warn", uniqueItems=True
        ),
        "on_limit": {"const": "deny", "default": "deny", "description": "What happens at the limit"},
    },
    required=("id", "scope", "limit", "per"),
)

_RETRY: Final[_JsonObject] = _object(
    {
        "attempts": {
            "type": "integer",
            "minimum": 1,
            "maximum": ATTEMPTS_MAX,
            "default": 1,
            "description": "How often it is attempted, the first included",
        },
        "backoff": _ref("duration", "The wait before the second attempt; it doubles each time"),
        "max_backoff": _ref("duration", "The longest wait"),
        "on": _list(
            _ref("error"),
            "The only errors after which it is attempted again: codes, or names of exceptions' classes",
            maxItems=ERROR_NAMES_MAX,
        ),
        "never": _list(_ref("error"), "Errors after which it is not; stronger than `on`", maxItems=ERROR_NAMES_MAX),
    }
)

_JOIN: Final[_JsonObject] = {
    "description": "How many of the tasks before it must succeed: `all`, `any`, or `{at_least: 2}`",
    "default": "all",
    "anyOf": [
        {"type": "string", "enum": ["all", "any"]},
        _object(
            {"at_least": {"type": "integer", "minimum": 1, "description": "So many"}},
            required=("at_least",),
        ),
    ],
}

_TASK: Final[_JsonObject] = {
    **_object(
        {
            "agent": _ref("name", "Who does it"),
            "workflow": _ref("name", "Or the workflow of which it is a run; the task waits until that run has ended"),
            "input": {
                "description": "What it is given; `${...}` marks a CEL value: `${input.month}`, `${match.output}`"
            },
            "after": _list(
                _ref("task_name"), "The tasks that must come first; a `${...}` reference implies it", uniqueItems=True
            ),
            "join": _JOIN,
            "when": _like(
                r"^\$\{.+\}$",
                "${match.output.amount > 1000}",
                description="Whether it is done at all; one that is left out counts as done, and its output is null",
            ),
            "for_each": _like(
                r"^\$\{.+\}$", "${match.output.vendors}", description="One task for each member, which is `${item}`"
            ),
            "retry": _RETRY,
            "timeout": _ref("duration", "How long one attempt may work"),
            "total_timeout": _ref(
                "duration", "How long it may take from its first start, waits and all attempts included"
            ),
            "fallback": _object(
                {"agent": _ref("name", "Who has it after its last attempt failed, with as many attempts again")},
                required=("agent",),
            ),
            "on_failure": _one_of(
                OnFailure,
                "What its failure does: the run fails, or goes on with null, or fails and what was done is undone",
                default=OnFailure.FAIL,
            ),
            "queue": _ref("queue", "The queue that it stands in; its agent's unless it says so"),
            "priority": {
                "type": "integer",
                "minimum": -TASK_PRIORITY_MAX,
                "maximum": TASK_PRIORITY_MAX,
                "description": "Larger is claimed first; the run's own unless it says so",
            },
        }
    ),
    "oneOf": [{"required": ["agent"]}, {"required": ["workflow"]}],
}

_WORKFLOW: Final = _object(
    {
        "description": _prose("What it is for"),
        "input": {"type": "object", "description": "The JSON Schema of what a run is given"},
        "tasks": {
            **_map("task_name", _TASK, "What is to be done"),
            "minProperties": 1,
            "maxProperties": TASKS_PER_RUN_MAX,
        },
        "output": {"description": "What the run returns; `${...}` marks a CEL value"},
    },
    required=("tasks",),
)

_DEFS: Final[_JsonObject] = {
    "name": _like(NAME_PATTERN, "vendor-review", description="A name: lower-case letters, digits, - and _"),
    "task_name": _like(TASK_PATTERN, "match", description="A task's name, which conditions can use: no dash"),
    "queue": _like("^[a-z0-9][a-z0-9_-]*$", "gpu", description="A queue's name", maxLength=QUEUE_LENGTH_MAX),
    "error": _like("^.+$", "timed-out", description="An error's code, or the name of an exception's class"),
    "fact_name": _like(TASK_PATTERN, "vendor", description="A fact's name"),
    "tool_name": _like(TOOL_PATTERN, "payments.create", description="A tool's name", maxLength=TOOL_NAME_MAX),
    "tool_glob": _like("^[a-z*][a-z0-9_.*-]*$", "erp.*", description="A tool's name, or a glob with *"),
    "model_name": _like(
        "^[A-Za-z0-9][A-Za-z0-9_.:/*-]*$", "gpt-4-turbo", description="A model's name, `purpose:NAME`, or a glob"
    ),
    "model": _like("^[A-Za-z0-9][A-Za-z0-9_.:/-]*$", "gpt-4-turbo", description="A model's name, without globs"),
    "agent_selector": _like(
        "^(type:|department:)?[a-z0-9*][a-z0-9_*-]*$",
        "type:sub-agent",
        description="An agent's name, glob, type or department",
    ),
    "action": _like(
        "^(tool|model|delegate|run|message|[*]):[A-Za-z0-9*][A-Za-z0-9_.:/*-]*$|^[*]$",
        "tool:payments.create",
        description="An action",
    ),
    "path": _like(
        "^[A-Za-z_][A-Za-z0-9_]*([.][A-Za-z_][A-Za-z0-9_]*)*$", "invoice.amount", description="A path in the arguments"
    ),
    "entry": _like(ENTRY_PATTERN, "example.erp:create_payment", description="A Python function, `module:function`"),
    "currency": _like("^[A-Z]{3}$", "EUR", description="A currency's code (ISO 4217)"),
    "money": _like(MONEY_PATTERN, "12.30 EUR", description="An amount and its currency"),
    "duration": _like(DURATION_PATTERN, "10m", description="A whole number and a unit: ms, s, m, h or d"),
}

_SCHEMA: Final[Json] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": SCHEMA_ID,
    "title": "AOS manifest",
    "description": "What an organization of agents should be: `aos apply` makes it so",
    **_object(
        {
            "aos": {"const": 1, "description": "The version of this form"},
            "organization": _ORGANIZATION,
            "departments": _map("name", _DEPARTMENT, "Who pays"),
            "queues": _map("queue", _QUEUE, "What tasks share, and how many of them may be under way at once"),
            "people": _list(_PERSON, "Who may sign in, and their roles"),
            "tools": _map("tool_name", _TOOL, "What agents can do to the world"),
            "models": _map(
                "model", model_schema(), "The models that agents may ask; the catalogue tells what is not said"
            ),
            "purposes": _map("name", purpose_schema(), "What models are wanted for: agents ask for `purpose:NAME`"),
            "agents": _map("name", _AGENT, "Who acts; `tools`, `models` and `delegates` are their permissions"),
            "policies": _list(_POLICY, "What narrows the permissions: deny, escalate", maxItems=RULES_MAX),
            "budgets": _list(_BUDGET, "What AOS itself may cost"),
            "workflows": _map("name", _WORKFLOW, "What runs, in which order"),
            "schedules": _map("name", schedule_schema(), "What runs at which times"),
            "hooks": _map("name", hook_schema(), "What runs when a system outside says something, signed"),
            "mcp_servers": _map("name", mcp_server_schema(), "The MCP servers whose tools agents may call"),
        },
        required=("aos",),
    ),
    "$defs": _DEFS,
}
