"""Approvals as the approver reads them: the act in a sentence, what the decision saw, the chain, and what was answered.

Arguments, reasons, facts and comments are content: there for those who may read content. The digest is what the answer is
bound to, and is always shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from aos.kernel.acts import ActKind
from aos.kernel.errors import NotFound
from aos.kernel.identity import ChainLink
from aos.kernel.json import Json
from aos.kernel.people import Actor, Permission
from aos.kernel.questions import Question, read_question
from aos.operations.act_sentences import act_sentence, act_subject
from aos.operations.actions import RuleMet, chain_of, rules_of
from aos.operations.approvals import roles_asked
from aos.operations.drivers import Drivers
from aos.operations.opened import ONE_BYTES_MAX, Opened, open_contents
from aos.operations.pages import Page, PageQuery, list_page
from aos.operations.registry_records import reading


@dataclass(frozen=True, slots=True)
class Yes:
    """One person's yes and the roles that it was given with; `email` is None for somebody who is erased."""

    email: str | None
    roles: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class ApprovalView:
    """One approval. `rules` are those that asked for it; `facts` what all matched rules read, origins included.

    `roles` are all that must say yes, `roles_left` those that have not; `answers` is each yes so far.
    """

    id: UUID
    status: str
    act: str
    kind: str
    name: str
    effect: str | None
    arguments: Json
    reason: str
    rules: tuple[RuleMet, ...]
    facts: Mapping[str, Json] | None
    origins: Mapping[str, Json]
    digest: bytes
    action_id: UUID
    agent: str | None
    chain: tuple[ChainLink, ...]
    run_id: UUID | None
    run: str | None
    task_id: UUID | None
    task: str | None
    approver_role: str
    roles: tuple[str, ...]
    roles_left: tuple[str, ...]
    answers: tuple[Yes, ...]
    quorum: int
    answered_by: str | None
    answered_at: datetime | None
    comment: str
    suggested_args: Json
    created_at: datetime
    expires_at: datetime

    @property
    def subject(self) -> str:
        """Return what the act is about in a few words, with what of its arguments may be read."""
        return act_subject(self.name, arguments=self.arguments, facts=self.facts)

    @property
    def question(self) -> Question | None:
        """Return what an agent asks, None for any other act and where its words may not be read."""
        if self.kind != ActKind.ASK or self.arguments is None:
            return None
        return read_question(self.name, self.arguments)


def list_approvals(drivers: Drivers, actor: Actor, query: PageQuery) -> Page[ApprovalView]:
    """Return a page of approvals, by `status`, `run` and `name`."""
    with reading(actor, Permission.APPROVAL_READ):
        return find_approvals(drivers, actor, query)


def show_approval(drivers: Drivers, actor: Actor, approval_id: UUID) -> ApprovalView:
    """Return one approval; raise NotFound."""
    query = PageQuery(limit=1, filters={"id": approval_id})
    with reading(actor, Permission.APPROVAL_READ):
        page = find_approvals(drivers, actor, query, bytes_max=ONE_BYTES_MAX)
    if not page.items:
        raise NotFound(f"there is no approval `{approval_id}`")
    return page.items[0]


def find_approvals(drivers: Drivers, actor: Actor, query: PageQuery, **how: int) -> Page[ApprovalView]:
    """Return a page of approvals, in the open transaction; `bytes_max` bounds the content that is opened."""
    filters = {"run": None, "status": None, **query.filters}
    page = list_page("page_approvals", actor.organization_id, query, read=lambda row: row, names="act_name", **filters)
    wanted = [row[name] for row in page.items for name in ("shown_content_id", "answer_content_id")]
    opened = open_contents(drivers, actor, wanted, **how)
    return Page(tuple(_view(row, opened) for row in page.items), page.next)


def _view(row: Mapping[str, Any], opened: Opened) -> ApprovalView:
    shown = opened.fields(row["shown_content_id"])
    answer = opened.fields(row["answer_content_id"])
    asked = {(rule["id"], rule["version"]) for rule in row["rules"]}
    facts: Any = shown.get("facts")
    plain = ("id", "status", "effect", "digest", "action_id", "agent", "run_id", "run", "task_id", "approver_role")
    timed = ("quorum", "answered_by", "answered_at", "created_at", "expires_at")
    return ApprovalView(
        **{name: row[name] for name in (*plain, *timed)},
        roles=roles_asked(row["answers"], row["roles_left"]) or (row["approver_role"],),
        roles_left=tuple(row["roles_left"]),
        answers=tuple(
            Yes(each["email"], tuple(each["roles"]), datetime.fromisoformat(each["at"])) for each in row["answers"]
        ),
        act=act_sentence(row["act_kind"], row["act_name"], effect=row["effect"], arguments=shown.get("arguments")),
        kind=row["act_kind"],
        name=row["act_name"],
        arguments=shown.get("arguments"),
        reason=str(shown.get("reason", "")),
        rules=tuple(rule for rule in rules_of(row["rules"], shown) if (rule.id, rule.version) in asked),
        facts=facts,
        origins={path: value for path, value in (facts or {}).items() if path.startswith("origin.")},
        chain=chain_of(row["chain"]),
        task=row["task_label"],
        comment=str(answer.get("comment") or ""),
        suggested_args=answer.get("suggested_args"),
    )
