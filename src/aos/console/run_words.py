"""A run and its acts in sentences: what it did, why it was allowed, what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from aos.console.amounts import between_ms, cost_text, count_text, duration_text
from aos.operations.act_sentences import act_sentence
from aos.operations.actions import ActionView
from aos.operations.run_views import RunDetail, RunView

ENDED = ("succeeded", "failed", "skipped", "cancelled")


def run_answer(run: RunView, now: datetime) -> str:
    """Return in a sentence how a run stands."""
    took = duration_text(between_ms(run.created_at, run.finished_at or now) or 0)
    refused = f"{count_text(run.refused, 'act was', 'acts were')} refused" if run.refused else "nothing was refused"
    if run.state == "running":
        waits = f"{count_text(run.waiting, 'act waits', 'acts wait')} for a person, " if run.waiting else ""
        return f"Under way for {took}: {waits}{refused}."
    return f"{run.state.capitalize()} after {took}: {refused}, {cost_text(run)} spent."


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
