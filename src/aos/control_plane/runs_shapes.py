"""The JSON Schemas of runs, approvals, actions, traces and usage: what is sent and what is shown."""

from __future__ import annotations

from typing import Final

from aos.control_plane.shapes import (
    ANY_OBJECT,
    FLAG,
    INSTANT,
    LABEL,
    NUMBER,
    TEXT,
    UUID,
    Schema,
    closed,
    list_of,
    maybe,
    ref,
)
from aos.kernel.acts import ActionState, ActKind
from aos.kernel.limits import TASK_PRIORITY_MAX
from aos.kernel.policy.values import Outcome
from aos.operations.usage import UsageBy

RUN_STATES: Final = ("running", "paused", "succeeded", "failed", "cancelled")
REPORT_KINDS: Final = ("progress", "kpi", "finding")
APPROVAL_STATES: Final = ("pending", "approved", "denied", "expired", "used")
TASK_STATES: Final = ("blocked", "ready", "running", "waiting", "stuck", "succeeded", "failed", "skipped", "cancelled")

PRIORITY: Final[Schema] = {
    "type": "integer",
    "minimum": -TASK_PRIORITY_MAX,
    "maximum": TASK_PRIORITY_MAX,
    "description": "Larger goes first",
}
RUN_PATCH: Final[Schema] = closed({"priority": PRIORITY})
_TASK_KEY: Final[Schema] = {"type": "string", "minLength": 1, "description": "A task by its name, its label or its id"}
RUN_FORK: Final[Schema] = closed(
    {"task": _TASK_KEY, "input": {"description": "Another input; the run's own where it is left out"}},
    optional=("input",),
)
RUN_RETRY: Final[Schema] = closed({"task": _TASK_KEY})

RUN_NEW: Final[Schema] = {
    **closed(
        {
            "workflow": {**TEXT, "description": "The workflow's name; or give `agent`"},
            "agent": {**TEXT, "description": "The agent's name, for a run of one task"},
            "input": {"description": "What the workflow or agent is given"},
            "goal": {"type": "string", "maxLength": 10_000},
            "thread": LABEL,
            "labels": {
                "type": "object",
                "additionalProperties": {"type": "string", "maxLength": 200},
                "maxProperties": 50,
            },
            "clock": {**INSTANT, "description": "The run's own time at its start, where the organization allows one"},
            "priority": PRIORITY,
            "budget": closed(
                {
                    "amount": {"type": "string", "format": "money"},
                    "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
                },
                description="What the run may cost at most",
            ),
        },
        optional=("workflow", "agent", "input", "goal", "thread", "labels", "clock", "budget", "priority"),
    ),
    "oneOf": [{"required": ["workflow"]}, {"required": ["agent"]}],
}
SIGNAL_NEW: Final[Schema] = closed(
    {
        "name": {**LABEL, "minLength": 1, "description": "What the run's tasks wait for"},
        "value": {"description": "What is told"},
        "key": {**LABEL, "minLength": 1, "description": "The same key is the same signal, however often it is sent"},
    },
    optional=("value", "key"),
)
APPROVE: Final[Schema] = closed(
    {
        "comment": {"type": "string", "maxLength": 4_000},
        "digest": {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "The digest of what you saw"},
        "value": {
            "description": "What you answer to an agent that asks (`ask:NAME`); without one it is told that you agree"
        },
    },
    optional=("comment", "value"),
)
DENY: Final[Schema] = closed(
    {
        "comment": {"type": "string", "minLength": 1, "maxLength": 4_000, "description": "Shown to the agent"},
        "suggested_args": {**ANY_OBJECT, "description": "What you would agree to; shown to the agent"},
    },
    optional=("suggested_args",),
)

_MONEY: Final = ref("Money")
_SUBJECT: Final[Schema] = {
    **TEXT,
    "description": "The act's name with its most telling arguments, where they may be read",
}
_REACHED: Final[Schema] = closed(
    {
        "runs": list_of(UUID),
        "tasks": {**NUMBER, "description": "Open tasks that were cancelled, held or moved"},
        "approvals": {**NUMBER, "description": "Approvals that were withdrawn"},
        "at_work": {
            **list_of(closed({"id": UUID, "run_id": UUID, "task": TEXT})),
            "description": "Tasks whose passes were cut off by a cancel, or still run until their next call after a pause",
        },
    },
    description="What the order reached, nested runs included",
)
_SUM: Final[dict[str, Schema]] = {
    **dict.fromkeys(("tasks", "attempts"), NUMBER),
    "runtime_seconds": {"type": "number", "minimum": 0},
    **dict.fromkeys(("tool_calls", "model_calls", "input_tokens", "output_tokens"), NUMBER),
    **dict.fromkeys(("workflow_executions", "events"), NUMBER),
    "cost": _MONEY,
    "estimated": _MONEY,
    "other_costs": list_of(_MONEY),
}


def run_components() -> dict[str, Schema]:
    """Return the named schemas of what is read and answered about runs."""
    return {
        "RunNew": RUN_NEW,
        "SignalNew": SIGNAL_NEW,
        "Signal": closed({"id": UUID, "run_id": UUID, "name": TEXT}),
        "Run": closed(_run()),
        "RunDetail": closed(_run_detail()),
        "RunSteered": closed({**_run_detail(), "reached": _REACHED}),
        "RunPatch": RUN_PATCH,
        "RunFork": RUN_FORK,
        "RunRetry": RUN_RETRY,
        "Task": closed(_task()),
        "TaskDetail": closed({**_task(), "input": {}, "output": {}}),
        "Report": closed(
            {
                "id": UUID,
                "kind": {"enum": list(REPORT_KINDS)},
                "task_id": UUID,
                "task": maybe(TEXT),
                "agent": maybe(TEXT),
                "value": {"description": "What was told; null where content may not be read"},
                "fields": maybe(ANY_OBJECT),
                "created_at": INSTANT,
            }
        ),
        "Approve": APPROVE,
        "Deny": DENY,
        "Approval": _approval(),
        "Action": closed(_action()),
        "ActionDetail": closed({**_action(), "result": {}}),
        "ModelChoice": closed(_model_choice()),
        "Trace": closed({"id": UUID, "run": maybe(ref("Run")), "actions": list_of(ref("Action")), "next": maybe(TEXT)}),
        "Tree": closed(
            {
                "id": UUID,
                "run": maybe(ref("Run")),
                "actions": list_of(ref("Action")),
                "tasks": list_of(ref("TreeNode")),
                "spans": {**list_of(ref("Span")), "description": "What agents' own code says that it did: evidence"},
            }
        ),
        "Span": closed(
            {
                "id": TEXT,
                "parent": maybe(TEXT),
                "task": TEXT,
                "kind": TEXT,
                "name": TEXT,
                "started_at": INSTANT,
                "ended_at": INSTANT,
                "error": maybe(TEXT),
            }
        ),
        "TreeNode": closed({"task": ref("Task"), "actions": list_of(ref("Action")), "tasks": list_of(ref("TreeNode"))}),
        **_usage(),
        "RuleMet": closed(
            {
                "id": TEXT,
                "version": NUMBER,
                "outcome": {"enum": [each.value for each in Outcome]},
                "reason": maybe(TEXT),
                "failed": FLAG,
                "satisfied": FLAG,
            }
        ),
        "ChainLink": closed({"kind": TEXT, "id": UUID, "name": TEXT, "version": maybe(NUMBER)}),
    }


def _run_detail() -> dict[str, Schema]:
    return {
        **_run(),
        "states": {"type": "object", "additionalProperties": NUMBER},
        "tasks": list_of(ref("Task")),
        "tasks_next": maybe(TEXT),
        "approvals": list_of(ref("Approval")),
        "budgets": list_of(ref("BudgetUse")),
        "input": {},
        "output": {},
        "undo_due": {**FLAG, "description": "It failed, and a run that undoes what it did begins by itself"},
        "source_undone_by": {**maybe(UUID), "description": "The run that undoes the one from which it was forked"},
        "standing_forks": {**list_of(UUID), "description": "Runs that were forked from it before it was undone"},
        "undo_error": {**maybe(TEXT), "description": "Why that run has not begun: a person has to act"},
    }


def _usage() -> dict[str, Schema]:
    return {
        "Usage": closed(
            {
                "by": {"enum": [each.value for each in UsageBy]},
                "items": list_of(ref("UsageGroup")),
                "totals": closed(_SUM),
                "budgets": list_of(ref("BudgetUse")),
                "next": maybe(TEXT),
            }
        ),
        "UsageGroup": closed(
            {
                "key": maybe(TEXT),
                "name": maybe(TEXT),
                **_SUM,
                "budgets": list_of(ref("BudgetUse")),
                "records": list_of(closed({"id": UUID, "record_id": UUID})),
            },
            optional=("records",),
        ),
        "BudgetUse": closed(
            {"id": UUID, "name": TEXT, "period": TEXT, "limit": _MONEY, "used": _MONEY, "held": _MONEY}
        ),
    }


def _run() -> dict[str, Schema]:
    return {
        "id": UUID,
        "name": TEXT,
        "state": {"enum": list(RUN_STATES)},
        "workflow": maybe(TEXT),
        "workflow_version": maybe(NUMBER),
        "agent": maybe(TEXT),
        "department": maybe(TEXT),
        "goal": {},
        "started_by": maybe(TEXT),
        "chain": list_of(ref("ChainLink")),
        "labels": ANY_OBJECT,
        "thread": maybe(TEXT),
        "error": maybe(TEXT),
        "priority": {"type": "integer"},
        **dict.fromkeys(("parent_run_id", "forked_from_id", "undoes_id", "undone_by"), maybe(UUID)),
        "nested": {**NUMBER, "description": "How many runs its tasks have started"},
        "forked_task": maybe(TEXT),
        **dict.fromkeys(("tasks_open", "tasks_total", "actions", "refused", "waiting"), NUMBER),
        "cost": _MONEY,
        "other_costs": list_of(_MONEY),
        "clock_start": maybe(INSTANT),
        "created_at": INSTANT,
        "finished_at": maybe(INSTANT),
    }


def _task() -> dict[str, Schema]:
    return {
        "id": UUID,
        "name": TEXT,
        "label": TEXT,
        "kind": {"enum": ["agent", "fan", "workflow", "undo"]},
        "agent": maybe(TEXT),
        "state": {"enum": list(TASK_STATES)},
        "paused": FLAG,
        "waits_for": maybe(TEXT),
        "signals": {**list_of(TEXT), "description": "The names of the signals that it waits for"},
        "parent_id": maybe(UUID),
        "item_index": maybe(NUMBER),
        "after": list_of(UUID),
        **dict.fromkeys(("attempt", "attempts_max"), NUMBER),
        "tolerated": {**FLAG, "description": "Whether the run goes on where the task fails"},
        "error": maybe(TEXT),
        "detail": maybe(TEXT),
        "runtime_ms": NUMBER,
        "created_at": INSTANT,
        "started_at": maybe(INSTANT),
        "finished_at": maybe(INSTANT),
    }


def _approval() -> Schema:
    return closed(
        {
            "id": UUID,
            "status": {"enum": list(APPROVAL_STATES)},
            "act": {**TEXT, "description": "The act in a sentence"},
            "subject": _SUBJECT,
            "kind": {"enum": [each.value for each in ActKind]},
            "name": TEXT,
            "effect": maybe(TEXT),
            "arguments": {},
            "question": {**maybe(TEXT), "description": "Of an act `ask:NAME`: what the agent asks"},
            "answer_schema": {"description": "Its JSON Schema, where the agent gave one: `value` must fit"},
            "reason": maybe(TEXT),
            "rules": list_of(ref("RuleMet")),
            "facts": maybe(ANY_OBJECT),
            "origins": ANY_OBJECT,
            "digest": TEXT,
            "action_id": UUID,
            "agent": maybe(TEXT),
            "chain": list_of(ref("ChainLink")),
            "run_id": maybe(UUID),
            "run": maybe(TEXT),
            "task_id": maybe(UUID),
            "task": maybe(TEXT),
            "approver_role": {**TEXT, "description": "The first of `roles`"},
            "roles": {**list_of(TEXT), "description": "Each must say yes; one person may hold several"},
            "roles_left": {**list_of(TEXT), "description": "Those that have not said yes yet"},
            "answers": list_of(
                closed({"answered_by": maybe(TEXT), "roles": list_of(TEXT), "answered_at": maybe(INSTANT)})
            ),
            "quorum": NUMBER,
            "answered_by": maybe(TEXT),
            "answered_at": maybe(INSTANT),
            "comment": maybe(TEXT),
            "suggested_args": {},
            "created_at": INSTANT,
            "expires_at": INSTANT,
        }
    )


def _model_choice() -> dict[str, Schema]:
    return {
        "action_id": UUID,
        "asked": {**TEXT, "description": "What the request asked for: a model, `purpose:NAME` or `auto`"},
        "dialect": TEXT,
        "model": {**TEXT, "description": "The model that the choice put first"},
        "state": {"enum": [each.value for each in ActionState]},
        "used": {**list_of(TEXT), "description": "The models that were used; the last of them gave the answer"},
        "question": maybe({**ANY_OBJECT, "description": "What the choice was made of; null where one model was named"}),
        "order": list_of(TEXT),
        "reasons": {**list_of(TEXT), "description": "The choice made again, as lines that a person reads"},
        "agrees": {"type": "boolean", "description": "Whether the choice made again begins with `model`"},
    }


def _action() -> dict[str, Schema]:
    answered = {"id": UUID, "status": TEXT, "answered_by": maybe(TEXT), "answered_at": maybe(INSTANT)}
    decision = {
        "outcome": {"enum": [each.value for each in Outcome]},
        "reason": maybe(TEXT),
        "rules": list_of(ref("RuleMet")),
        "facts": maybe(ANY_OBJECT),
    }
    return {
        "id": UUID,
        "kind": {"enum": [each.value for each in ActKind]},
        "name": TEXT,
        "effect": maybe(TEXT),
        "state": {"enum": [each.value for each in ActionState]},
        "decision": closed(decision),
        "arguments": {},
        "subject": _SUBJECT,
        "approval": maybe(closed(answered)),
        "agent": maybe(TEXT),
        "agent_version": maybe(NUMBER),
        "department": maybe(TEXT),
        "chain": list_of(ref("ChainLink")),
        "run_id": maybe(UUID),
        "task_id": maybe(UUID),
        "task": maybe(TEXT),
        "attempt": maybe(NUMBER),
        "digest": TEXT,
        "error": maybe(TEXT),
        "summary": maybe(TEXT),
        "cost": maybe(_MONEY),
        "clock": maybe(INSTANT),
        "intended_at": INSTANT,
        "concluded_at": maybe(INSTANT),
        "records": list_of(closed({"id": UUID, "kind": TEXT, "index": maybe(NUMBER)})),
    }
