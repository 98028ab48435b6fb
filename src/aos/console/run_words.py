"""A run and its acts in sentences: what it did, why it was allowed, what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from aos.console.amounts import between_ms, cost_text, count_text, duration_text
from aos.operations.act_sentences import act_sentence
from aos.operations.actions import ActionView
from aos.operations.run_views import RunDetail, RunView, TaskView

ENDED = ("succeeded", "failed", "skipped", "cancelled")
REASON_MAX: Final = 200
"""So much of an error's text stands in a sentence; the task itself has all of it."""


def run_answer(run: RunView, now: datetime, *, failed: Sequence[TaskView], states: Mapping[str, int]) -> str:
    """Return in a sentence how a run stands, and why where it failed; `failed` are its first failed and stuck tasks."""
    took = duration_text(between_ms(run.created_at, run.finished_at or now) or 0)
    refused = f"{count_text(run.refused, 'act was', 'acts were')} refused" if run.refused else "nothing was refused"
    if run.state == "running":
        waits = f"{count_text(run.waiting, 'act waits', 'acts wait')} for a person, " if run.waiting else ""
        return f"Under way for {took}: {_trouble(failed, states)}{waits}{refused}."
    why = ""
    if run.state == "failed":
        why = _trouble(failed, states) or (f"{run.error}; " if run.error else "")
    return f"{run.state.capitalize()} after {took}: {why}{refused}, {cost_text(run)} spent."


def reason_of(task: TaskView) -> str:
    """Return why a task failed: what its error says, with the error's code before it; empty where neither is known."""
    said = task.detail if len(task.detail) <= REASON_MAX else f"{task.detail[: REASON_MAX - 1]}…"
    return ": ".join(each for each in (task.error, said) if each)


def left_out_text(task: TaskView) -> str:
    """Return why a task was left out; empty for one that was not. To be left out is no error."""
    if task.state != "skipped":
        return ""
    missing = "its condition did not hold" if task.error == "condition" else "what it needed did not succeed"
    return f"left out: {missing}"


def quiet_words(run: RunView) -> str:
    """Return what is said of a run in which nothing needs a look; one that still goes on is not spoken of as done."""
    if run.finished_at is None:
        return "No act was refused or waits so far, and no task failed. It is still under way."
    if run.state == "failed":
        return f"The run itself failed ({run.error or 'no reason was given'}), none of its tasks did."
    return "No act was refused or waits, and what failed or was cut off was done since."


def _trouble(failed: Sequence[TaskView], states: Mapping[str, int]) -> str:
    """Return the first failed or stuck task with its reason and how many more there are, ended by a semicolon."""
    if not failed:
        return ""
    # What failed for want of another names that one: the reason stands at the task that has no child among them.
    parents = {task.parent_id for task in failed}
    first = next((task for task in failed if task.id not in parents), failed[0])
    verb = "is stuck" if first.state == "stuck" else "failed"
    reason = reason_of(first)
    more = states.get("failed", 0) + states.get("stuck", 0) - 1
    others = f" and {count_text(more, 'more task', 'more tasks')} failed" if more > 0 else ""
    return f"task {first.label} {verb}{f' ({reason})' if reason else ''}{others}; "


def what_it_did(states: Mapping[str, int]) -> str:
    """Return how far the tasks are."""
    total = sum(states.values())
    ended = sum(states.get(each, 0) for each in ENDED)
    return f"{ended} of {count_text(total, 'task has', 'tasks have')} ended"


def goal_text(detail: RunDetail | RunView) -> str:
    """Return a run's goal, empty where it has none or may not be read."""
    goal = detail.run.goal if isinstance(detail, RunDetail) else detail.goal
    return goal if isinstance(goal, str) else ""


def act_text(action: ActionView) -> str:
    """Return an act as a person would say it, its first letter large."""
    text = act_sentence(action.kind, action.name, effect=action.effect, arguments=action.arguments)
    return text[:1].upper() + text[1:]


def decision_text(action: ActionView) -> str:
    """Return the decision on an act in a sentence, with the rules that made it."""
    by = {word: [rule for rule in action.rules if rule.outcome == word] for word in ("deny", "escalate", "allow")}
    allowed = ", ".join(f"`{rule.id}`" for rule in by["allow"])
    if action.state == "refused" or action.outcome == "deny":
        return _refused(action, [rule.id for rule in by["deny"]], asked=[rule.id for rule in by["escalate"]])
    if by["escalate"]:
        asked = " and ".join(f"`{rule.id}`" for rule in by["escalate"])
        verb = "asks" if action.state == "waiting" else "asked"
        return f"{asked} {verb} a person, though {allowed or 'a rule'} allows it. {_answered(action)}".strip()
    return f"Allowed by {allowed or 'a rule'}; no rule denied it and none asked for a person."


def _refused(action: ActionView, denied: list[str], *, asked: list[str]) -> str:
    if denied:
        others = f" {len(asked)} more would have asked a person." if asked else ""
        return (
            f"Refused by {' and '.join(f'`{each}`' for each in denied)}: a denial outweighs every permission.{others}"
        )
    if action.approval is not None and action.approval.status in ("denied", "expired"):
        return f"Refused: {_answered(action)}"
    if action.error == "budget-spent":
        return "Refused: a budget had no room for it."
    return "Refused for want of a rule that allows it."


def _answered(action: ActionView) -> str:
    approval = action.approval
    if approval is None:
        return ""
    who = approval.answered_by or "nobody"
    match approval.status:
        case "approved" | "used":
            return f"{who} approved it."
        case "denied":
            return f"{who} denied it."
        case "expired":
            return "nobody answered in time."
        case _:
            return "Nobody has answered yet."
