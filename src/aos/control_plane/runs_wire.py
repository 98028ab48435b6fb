"""How runs, approvals, actions, traces and usage are shown: values of the operations as JSON.

The schemas of `runs_shapes` describe exactly this. A digest is hexadecimal; what may not be read is null.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from aos.control_plane.wire import Shown, instant, money
from aos.kernel.acts import Pending
from aos.kernel.identity import ChainLink
from aos.kernel.money import Money
from aos.operations.actions import ActionView, RuleMet
from aos.operations.approval_views import ApprovalView
from aos.operations.budget_use import BudgetUse
from aos.operations.model_choices import ModelChoice
from aos.operations.report_views import ReportView
from aos.operations.run_steering import Steered
from aos.operations.run_views import RunDetail, RunView, TaskDetail, TaskView
from aos.operations.traces import Trace, Tree, TreeNode
from aos.operations.usage import UsageGroup, UsageReport, UsageSum


def run(view: RunView) -> Shown:
    """Show a run of a list."""
    return {
        "id": view.id,
        "name": view.name,
        "state": view.state,
        "workflow": view.workflow,
        "workflow_version": view.workflow_version,
        "agent": view.agent,
        "department": view.department or None,
        "goal": view.goal,
        "started_by": view.chain[0].name if view.chain else None,
        "chain": chain(view.chain),
        "labels": view.labels,
        "thread": view.thread,
        "error": view.error,
        "priority": view.priority,
        "parent_run_id": view.parent_run_id,
        "nested": view.nested,
        "forked_from_id": view.forked_from_id,
        "forked_task": view.forked_task,
        "undoes_id": view.undoes_id,
        "undone_by": view.undone_by,
        "tasks_open": view.tasks_open,
        "tasks_total": view.tasks_total,
        "actions": view.actions,
        "refused": view.refused,
        "waiting": view.waiting,
        "cost": money(view.cost),
        "other_costs": amounts(view.other_costs),
        "clock_start": instant(view.clock_start),
        "created_at": instant(view.created_at),
        "finished_at": instant(view.finished_at),
    }


def pending(waits: Pending) -> Shown:
    """Show what waits for a person."""
    return {
        "status": "pending",
        "approval_id": waits.approval_id,
        "action_id": waits.action_id,
        "reason": waits.reason,
    }


def run_detail(detail: RunDetail) -> Shown:
    """Show a run with its first tasks and what it waits for."""
    return {
        **run(detail.run),
        "states": detail.states,
        "tasks": [task(each) for each in detail.tasks.items],
        "tasks_next": detail.tasks.next,
        "approvals": [approval(each) for each in detail.approvals],
        "budgets": [budget_use(each) for each in detail.budgets],
        "input": detail.input,
        "output": detail.output,
        "undo_due": detail.undo_due,
        "source_undone_by": detail.source_undone_by,
        "standing_forks": list(detail.standing_forks),
        "undo_error": detail.undo_error,
    }


def run_steered(detail: RunDetail, reached: Steered) -> Shown:
    """Show a run after an order, with what the order reached."""
    return {
        **run_detail(detail),
        "reached": {
            "runs": list(reached.runs),
            "tasks": reached.tasks,
            "approvals": reached.approvals,
            "at_work": [{"id": each.id, "run_id": each.run_id, "task": each.label} for each in reached.at_work],
        },
    }


def task(view: TaskView) -> Shown:
    """Show a task."""
    return {
        "id": view.id,
        "name": view.name,
        "label": view.label,
        "kind": view.kind,
        "agent": view.agent,
        "state": view.state,
        "paused": view.paused,
        "waits_for": view.waits_for,
        "signals": list(view.signals),
        "parent_id": view.parent_id,
        "item_index": view.item_index,
        "after": list(view.after),
        "attempt": view.attempt,
        "attempts_max": view.attempts_max,
        "tolerated": view.tolerated,
        "error": view.error,
        "detail": view.detail or None,
        "runtime_ms": view.runtime_ms,
        "created_at": instant(view.created_at),
        "started_at": instant(view.started_at),
        "finished_at": instant(view.finished_at),
    }


def task_detail(detail: TaskDetail) -> Shown:
    """Show a task with what went in and what came out."""
    return {**task(detail.task), "input": detail.input, "output": detail.output}


def report(view: ReportView) -> Shown:
    """Show what an agent told."""
    return {
        "id": view.id,
        "kind": view.kind,
        "task_id": view.task_id,
        "task": view.task,
        "agent": view.agent,
        "value": view.value,
        "fields": view.fields,
        "created_at": instant(view.created_at),
    }


def approval(view: ApprovalView) -> Shown:
    """Show an approval as its approver reads it."""
    return {
        "id": view.id,
        "status": view.status,
        "act": view.act,
        "subject": view.subject,
        "kind": view.kind,
        "name": view.name,
        "effect": view.effect,
        "arguments": view.arguments,
        "question": view.question.text if view.question else None,
        "answer_schema": view.question.schema if view.question else None,
        "reason": view.reason or None,
        "rules": [rule_met(rule) for rule in view.rules],
        "facts": view.facts,
        "origins": view.origins,
        "digest": view.digest.hex(),
        "action_id": view.action_id,
        "agent": view.agent,
        "chain": chain(view.chain),
        "run_id": view.run_id,
        "run": view.run,
        "task_id": view.task_id,
        "task": view.task,
        "approver_role": view.approver_role,
        "roles": list(view.roles),
        "roles_left": list(view.roles_left),
        "answers": [
            {"answered_by": each.email, "roles": list(each.roles), "answered_at": instant(each.at)}
            for each in view.answers
        ],
        "quorum": view.quorum,
        "answered_by": view.answered_by,
        "answered_at": instant(view.answered_at),
        "comment": view.comment or None,
        "suggested_args": view.suggested_args,
        "created_at": instant(view.created_at),
        "expires_at": instant(view.expires_at),
    }


def action(view: ActionView) -> Shown:
    """Show an action with its decision and the beginning of its outcome."""
    answered = view.approval
    return {
        "id": view.id,
        "kind": view.kind,
        "name": view.name,
        "effect": view.effect,
        "state": view.state,
        "decision": {
            "outcome": view.outcome,
            "reason": view.reason or None,
            "rules": [rule_met(rule) for rule in view.rules],
            "facts": view.facts,
        },
        "arguments": view.arguments,
        "subject": view.subject,
        "approval": None
        if answered is None
        else {
            "id": answered.id,
            "status": answered.status,
            "answered_by": answered.answered_by,
            "answered_at": instant(answered.answered_at),
        },
        "agent": view.agent,
        "agent_version": view.agent_version,
        "department": view.department or None,
        "chain": chain(view.chain),
        "run_id": view.run_id,
        "task_id": view.task_id,
        "task": view.task,
        "attempt": view.attempt,
        "digest": view.digest.hex(),
        "error": view.error,
        "summary": view.summary or None,
        "cost": money(view.cost),
        "clock": instant(view.clock),
        "intended_at": instant(view.intended_at),
        "concluded_at": instant(view.concluded_at),
        "records": [{"id": place.record_id, "kind": place.kind, "index": place.index} for place in view.records],
    }


def action_detail(view: ActionView) -> Shown:
    """Show an action with its whole outcome."""
    return {**action(view), "result": view.result}


def model_choice(found: ModelChoice) -> Shown:
    """Show the choice of a model with what it was made of."""
    return {
        "action_id": found.action_id,
        "asked": found.asked,
        "dialect": found.dialect,
        "model": found.model,
        "state": found.state,
        "used": list(found.used),
        "question": found.question,
        "order": list(found.order),
        "reasons": list(found.reasons),
        "agrees": found.agrees,
    }


def trace(found: Trace) -> Shown:
    """Show a page of a trace."""
    return {
        "id": found.id,
        "run": None if found.run is None else run(found.run),
        "actions": [action(each) for each in found.actions.items],
        "next": found.actions.next,
    }


def tree(found: Tree) -> Shown:
    """Show a decision tree: run, tasks below tasks, actions, and in each its decision with its rules."""
    return {
        "id": found.id,
        "run": None if found.run is None else run(found.run),
        "actions": [action(each) for each in found.actions],
        "tasks": [_node(node) for node in found.tasks],
        "spans": [
            {**dataclasses.asdict(each), "started_at": instant(each.started_at), "ended_at": instant(each.ended_at)}
            for each in found.spans
        ],
    }


def _node(node: TreeNode) -> Shown:
    return {
        "task": task(node.task),
        "actions": [action(each) for each in node.actions],
        "tasks": [_node(child) for child in node.children],
    }


def usage(report: UsageReport) -> Shown:
    """Show what was used, by group and in total."""
    return {
        "by": report.by.value,
        "items": [_group(each) for each in report.groups],
        "totals": _sum(report.totals),
        "budgets": [budget_use(each) for each in report.budgets],
        "next": report.next,
    }


def _group(group: UsageGroup) -> Shown:
    shown: Shown = {
        "key": group.key or None,
        "name": group.name or None,
        **_sum(group.sum),
        "budgets": [budget_use(each) for each in group.budgets],
    }
    if group.records is not None:
        shown["records"] = [{"id": each.id, "record_id": each.record_id} for each in group.records]
    return shown


def _sum(total: UsageSum) -> Shown:
    return {
        "tasks": total.tasks,
        "attempts": total.attempts,
        "runtime_seconds": total.runtime_ms / 1000,
        "tool_calls": total.tool_calls,
        "model_calls": total.model_calls,
        "input_tokens": total.input_tokens,
        "output_tokens": total.output_tokens,
        "workflow_executions": total.workflow_executions,
        "events": total.events,
        "cost": money(total.cost),
        "estimated": money(total.estimated),
        "other_costs": amounts(total.other_costs),
    }


def budget_use(use: BudgetUse) -> Shown:
    """Show a budget with what is used of it now."""
    return {
        "id": use.id,
        "name": use.name,
        "period": use.period,
        "limit": money(use.limit),
        "used": money(use.used),
        "held": money(use.held),
    }


def rule_met(rule: RuleMet) -> Shown:
    """Show a rule that matched; `failed` where its condition could not be evaluated."""
    return {
        "id": rule.id,
        "version": rule.version,
        "outcome": rule.outcome,
        "reason": rule.reason or None,
        "failed": rule.failed,
        "satisfied": rule.satisfied,
    }


def chain(links: Sequence[ChainLink]) -> list[Shown]:
    """Show a chain, the one who is answerable first."""
    return [
        {"kind": link.kind.value, "id": link.id, "name": link.name, "version": link.version or None} for link in links
    ]


def amounts(costs: Sequence[Money]) -> list[Shown | None]:
    """Show several amounts."""
    return [money(each) for each in costs]
