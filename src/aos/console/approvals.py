"""Approvals: what has to be decided, and what would happen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import path

from aos.console.amounts import ago_text, count_text
from aos.console.binding import services
from aos.console.doors import Visit, page, page_cursor, page_id
from aos.console.run import Argument
from aos.console.unusual import unusual
from aos.kernel.errors import InvalidRequest
from aos.kernel.json import Json
from aos.kernel.people import Permission
from aos.kernel.policy.values import Rule
from aos.operations.actions import ActionView, list_actions
from aos.operations.approval_views import ApprovalView, list_approvals, show_approval
from aos.operations.approvals import Answer, roles_of
from aos.operations.pages import PageQuery, parse_uuid
from aos.operations.policies import list_policies
from aos.operations.run_orders import AnswerGiven, answer_approval

APPROVALS_SHOWN: Final = 50
SEEN_SHOWN: Final = 12
STATUSES: Final = ("pending", "approved", "used", "denied", "expired")
BEFORE_SHOWN: Final = 100
"""How many acts of the same kind an act is held against."""
_NOUNS: Final = {
    "pay": "payment",
    "send": "message",
    "write": "change",
    "delete": "deletion",
    "admin": "change of settings",
    "read": "reading",
}


@dataclass(frozen=True, slots=True)
class RuleAsked:
    """A rule that asked, with its reason and its text where it still stands in that version."""

    id: str
    version: int
    reason: str
    rule: Rule | None


def show_approvals(visit: Visit) -> HttpResponse:
    """Show approvals, those that wait first."""
    status = visit.query("status") if visit.query("status") in (*STATUSES, "all") else "pending"
    filters: dict[str, Any] = {"run": parse_uuid(visit.query("run")), "status": None if status == "all" else status}
    query = PageQuery(limit=APPROVALS_SHOWN, cursor=page_cursor(visit), filters=filters)
    found = list_approvals(services().drivers, visit.actor, query)
    pending = visit.standing.approvals_pending
    answer = f"{count_text(pending, 'act waits', 'acts wait')} for a person." if pending else "Nothing waits for you."
    return visit.show(
        "approvals.html",
        "approvals",
        rows=found.items,
        next=found.next,
        status=status,
        statuses=STATUSES,
        answer=answer,
    )


def show_one_approval(visit: Visit, key: str) -> HttpResponse:
    """Show one approval, and take the answer."""
    approval = show_approval(services().drivers, visit.actor, page_id(key))
    if visit.request.method == "POST":
        return _answer(visit, approval)
    return visit.show(
        "approval.html",
        "approvals",
        approval=approval,
        act=approval.act[:1].upper() + approval.act[1:],
        noun=_NOUNS.get(approval.effect or "", "act"),
        question=approval.question,
        unusual=unusual(approval, _before(visit, approval)),
        arguments=_arguments(approval),
        facts=_facts(approval),
        asked=_asked(visit, approval),
        seen=_seen(visit, approval),
        can_answer=_can_answer(visit, approval),
        done=visit.query("done"),
        expires=ago_text(approval.expires_at, visit.standing.now),
    )


def _answer(visit: Visit, approval: ApprovalView) -> HttpResponse:
    form = visit.request.POST
    word, comment = str(form.get("answer", "")), str(form.get("comment", "")).strip()
    if word not in ("approve", "deny"):
        raise InvalidRequest("the form says neither approve nor deny: go back and choose one")
    if word == "deny" and not comment:
        raise InvalidRequest("a denial needs its reason, which the agent is told: go back and write one")
    seen = str(form.get("digest", ""))
    if not seen:
        raise InvalidRequest("the form lacks the digest of what you saw: load the page again")
    value = _value(form, approval) if word == "approve" else None
    given = AnswerGiven(Answer(word), comment, seen, value=value)
    services().call(answer_approval, visit.actor, approval.id, given=given)
    done = "approved" if word == "approve" else "denied"
    return HttpResponseRedirect(f"/console/approvals/{approval.id}?done={done}")


def _value(form: Mapping[str, Any], approval: ApprovalView) -> Json:
    """Return what a person answers to an agent that asks, None for any other act and for a plain yes."""
    question = approval.question
    if question is None:
        return None
    given = {field.name: str(form.get(f"value.{field.name}", "")) for field in question.fields()}
    value = question.answer(given, as_json=form.get("value-is") == "json")
    if value is None and question.schema is not None:
        raise InvalidRequest("the question wants an answer of its own: go back and give one")
    return value


def _can_answer(visit: Visit, approval: ApprovalView) -> bool:
    ready = approval.status == "pending" and services().bridge is not None
    return ready and bool(roles_of(visit.actor, approval.roles_left)) and visit.may(Permission.APPROVAL_ANSWER)


def _arguments(approval: ApprovalView) -> tuple[Argument, ...]:
    given = approval.arguments if isinstance(approval.arguments, dict) else {}
    return tuple(
        Argument(name, value, str(approval.origins.get(f"origin.{name}", ""))) for name, value in given.items()
    )


def _facts(approval: ApprovalView) -> tuple[tuple[str, Json], ...]:
    """Return what the rules read besides the arguments and their origins, which stand beside the arguments."""
    shown = ("args.", "origin.")
    return tuple((name, value) for name, value in (approval.facts or {}).items() if not name.startswith(shown))


def _asked(visit: Visit, approval: ApprovalView) -> tuple[RuleAsked, ...]:
    texts: dict[str, Rule] = {}
    if visit.may(Permission.REGISTRY_READ):
        texts = {each.rule.id: each.rule for each in list_policies(visit.actor, PageQuery(limit=200)).items}
    return tuple(
        RuleAsked(
            each.id,
            each.version,
            each.reason,
            rule if (rule := texts.get(each.id)) and rule.version == each.version else None,
        )
        for each in approval.rules
    )


def _before(visit: Visit, approval: ApprovalView) -> tuple[ActionView, ...]:
    """Return the newest acts of the same name that were performed."""
    if not visit.may(Permission.TRACE_READ) or not visit.may(Permission.CONTENT_READ):
        return ()
    query = PageQuery(limit=BEFORE_SHOWN, filters={"name": approval.name, "state": "performed"})
    return list_actions(services().drivers, visit.actor, query).items


def _seen(visit: Visit, approval: ApprovalView) -> tuple[Any, ...]:
    """Return what the task did before it asked: all that the agent has seen."""
    if approval.run_id is None or approval.task_id is None or not visit.may(Permission.TRACE_READ):
        return ()
    query = PageQuery(
        limit=SEEN_SHOWN, order="created", filters={"task": approval.task_id, "run": str(approval.run_id)}
    )
    acts = list_actions(services().drivers, visit.actor, query).items
    return tuple(act for act in acts if act.id != approval.action_id)


urlpatterns = [
    path("console/approvals", page(show_approvals)),
    path("console/approvals/<str:key>", page(show_one_approval, methods=("GET", "HEAD", "POST"))),
]
