"""Approvals: people answer what agents asked for, each once, and what waited for the answer is told.

An answer is bound to the digest that the person saw. Where rules ask several roles, the approval is given once a person who
holds it has said yes for each; one no is a no. A yes does nothing by itself: the same act, repeated, uses it. A no
refuses the act that waited, with the person's words for the agent to read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from aos.kernel.acts import ActKind
from aos.kernel.errors import Conflict, Forbidden, InvalidRequest, NotFound
from aos.kernel.identity import ChainLink, Principal, PrincipalKind
from aos.kernel.json import Json
from aos.kernel.ledger.record import Record, RecordKind, principal_ids, record_time
from aos.kernel.people import Actor, Permission, Role
from aos.kernel.questions import read_question
from aos.operations.claimed import chain_of
from aos.operations.contents import Sealed, open_json
from aos.operations.drivers import Drivers
from aos.operations.ends import seal
from aos.operations.facts import FactsCache, OrganizationFacts
from aos.operations.records import place, record_row
from aos.store.hot.database import Database, MachineTransaction, Row
from aos.store.rows import ContentRow, RecordRow, rows_json
from aos.store.task_rows import SettleRow, TaskKey

COMMENT_LENGTH_MAX = 10_000
EXPIRED_MAX = 200


class Answer(StrEnum):
    """What a person may answer."""

    APPROVE = "approve"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Approval:
    """One approval, with what the approver is shown. `status` is as it stands at the database's time.

    `roles` are all that must say yes, `roles_left` those that have not.
    """

    id: UUID
    status: str
    act: str
    digest: str
    action_id: UUID
    run_id: UUID | None
    task_id: UUID | None
    chain: tuple[ChainLink, ...]
    rules: tuple[str, ...]
    roles: tuple[str, ...]
    roles_left: tuple[str, ...]
    quorum: int
    shown: Json
    answered_by: UUID | None
    answered_at: datetime | None
    expires_at: datetime
    created_at: datetime


class Approvals:
    """Answers and expires approvals; what people read of them is in `approval_views`."""

    def __init__(self, database: Database, facts: FactsCache, drivers: Drivers) -> None:
        self._database = database
        self._facts = facts
        self._drivers = drivers

    async def answer_approval(
        self,
        actor: Actor,
        approval_id: UUID,
        *,
        answer: Answer,
        comment: str = "",
        digest: str | None = None,
        suggested_args: Json = None,
        value: Json = None,
    ) -> Approval:
        """Answer an approval, exactly once, and return it: still pending where another role must say yes as well.

        Raises NotFound, Forbidden without a role that must still say yes (to deny: any that it asks for), InvalidRequest for a no without a comment, and Conflict
        where `digest` is not the act's, or the approval was answered or has expired.
        """
        found = await self.load_approval(actor.organization_id, approval_id)
        _check_answer(actor, found, answer, comment=comment, digest=digest)
        if value is not None and not found.act.startswith(f"{ActKind.ASK}:"):
            raise InvalidRequest(
                "only what an agent asks is answered with a `value`; this is an act that it wants to do"
            )
        if value is not None:
            shown = found.shown if isinstance(found.shown, dict) else {}
            read_question(found.act, shown.get("arguments")).check_answer(value)
        facts = await self._facts.of(actor.organization_id)
        status = "approved" if answer is Answer.APPROVE else "denied"
        content = self._content(status, comment, suggested_args, value=value, facts=facts)
        row = SettleRow(
            n=0,
            organization_id=actor.organization_id,
            approval_id=approval_id,
            status=status,
            person_id=actor.person_id,
            answer_content_id=content.row.id if content is not None else None,
            error_code="denied" if status == "denied" else None,
            roles=roles_of(actor, found.roles_left),
        )
        records = [self._answered(actor, found, answer, content)]
        if status == "denied":
            records.append(self._refused(actor, found, content))
        contents = [content.row] if content is not None else []
        if not await self._settle([row], [found.task_id], contents, [record_row(each) for each in records]):
            stands = await self.load_approval(actor.organization_id, approval_id)
            raise Conflict(f"approval `{approval_id}` is {_standing(stands)}: it is answered once and in time")
        return await self.load_approval(actor.organization_id, approval_id)

    async def expire(self) -> int:
        """Expire what nobody answered or used in time; return how many. Inside a run the act is refused."""
        rows = await self._database.read("list_expired_approvals", {"approvals_max": EXPIRED_MAX})
        members: list[SettleRow] = []
        contents: list[ContentRow] = []
        records: list[RecordRow] = []
        for n, row in enumerate(rows):
            facts = await self._facts.of(row["organization_id"])
            content = seal({"detail": "nobody answered in time"}, "answer", facts, self._drivers)
            content.row.n = n
            contents.append(content.row)
            members.append(
                SettleRow(
                    n=n,
                    organization_id=row["organization_id"],
                    approval_id=row["id"],
                    status="expired",
                    answer_content_id=content.row.id,
                    error_code="denied",
                )
            )
            record = record_row(self._expired(row))
            record.n = n
            records.append(record)
        return await self._settle(members, [row["task_id"] for row in rows], contents, records) if rows else 0

    async def load_approval(self, organization_id: UUID, approval_id: UUID) -> Approval:
        """Return one approval; raise NotFound."""
        facts = await self._facts.of(organization_id)
        async with self._database.app(organization_id) as transaction:
            where = {"organization_id": organization_id, "approval_id": approval_id}
            rows = await transaction.run("load_approval", where)
        if not rows:
            raise NotFound(f"there is no approval `{approval_id}`")
        return self._approval(rows[0], facts)

    async def _settle(
        self,
        members: list[SettleRow],
        task_ids: list[UUID | None],
        contents: list[ContentRow],
        records: list[RecordRow],
    ) -> int:
        keys = [
            TaskKey(organization_id=member.organization_id, id=task_id)
            for member, task_id in zip(members, task_ids, strict=True)
            if task_id is not None
        ]
        params = {
            "members": rows_json(members),
            "contents": rows_json(contents),
            "records": rows_json(place(records)),
        }

        async def work(transaction: MachineTransaction) -> int:
            await transaction.run("lock_tasks", {"tasks": rows_json(keys)})
            return len(await transaction.run("settle_approvals", params))

        return await self._database.write(work)

    def _content(
        self, status: str, comment: str, suggested: Json, *, value: Json, facts: OrganizationFacts
    ) -> Sealed | None:
        if not comment and suggested is None and value is None:
            return None
        told: dict[str, Json] = {"comment": comment}
        if status == "denied":
            told["detail"] = f"a person denied it: {comment}"
        if suggested is not None:
            told["suggested_args"] = suggested
        if value is not None:
            told["value"] = value
        return seal(told, "answer", facts, self._drivers)

    def _answered(self, actor: Actor, found: Approval, answer: Answer, content: Sealed | None) -> Record:
        return Record(
            id=self._drivers.ids.new(),
            kind=RecordKind.APPROVAL_ANSWERED,
            organization_id=actor.organization_id,
            at=record_time(self._facts.now()),
            action_id=found.action_id,
            approval_id=found.id,
            change=answer.value,
            principal=(f"{PrincipalKind.PERSON}:{actor.person_id}",),
            result_digest=content.digest if content is not None else None,
            result_id=content.row.id if content is not None else None,
            run_id=found.run_id,
            task_id=found.task_id,
        )

    def _refused(self, actor: Actor, found: Approval, content: Sealed | None) -> Record:
        kind, _, name = found.act.partition(":")
        return Record(
            id=self._drivers.ids.new(),
            kind=RecordKind.ACT_REFUSED,
            organization_id=actor.organization_id,
            at=record_time(self._facts.now()),
            act_kind=ActKind(kind),
            act_name=name,
            action_id=found.action_id,
            approval_id=found.id,
            error="denied",
            principal=principal_ids(Principal(actor.organization_id, found.chain)),
            result_digest=content.digest if content is not None else None,
            result_id=content.row.id if content is not None else None,
            run_id=found.run_id,
            task_id=found.task_id,
        )

    def _expired(self, row: Row) -> Record:
        return Record(
            id=self._drivers.ids.new(),
            kind=RecordKind.APPROVAL_EXPIRED,
            organization_id=row["organization_id"],
            at=record_time(self._facts.now()),
            action_id=row["action_id"],
            approval_id=row["id"],
            run_id=row["run_id"],
            task_id=row["task_id"],
        )

    def _approval(self, row: Mapping[str, Any], facts: OrganizationFacts) -> Approval:
        shown = open_json(row, keys=facts.data_keys, crypto=self._drivers.crypto) if row["sealed"] is not None else None
        over = row["status"] in ("pending", "approved") and row["is_over"]
        return Approval(
            id=row["approval_id"],
            status="expired" if over else row["status"],
            act=f"{row['act_kind']}:{row['act_name']}",
            digest=row["digest"].hex(),
            action_id=row["action_id"],
            run_id=row["run_id"],
            task_id=row["task_id"],
            chain=chain_of(row["chain"]),
            rules=tuple(rule["id"] for rule in row["rules"]),
            roles=roles_asked(row["answers"], row["roles_left"]),
            roles_left=tuple(row["roles_left"]),
            quorum=row["quorum"],
            shown=shown,
            answered_by=row["answered_by"],
            answered_at=row["answered_at"],
            expires_at=row["expires_at"],
            created_at=row["created_at"],
        )


def _check_answer(actor: Actor, found: Approval, answer: Answer, *, comment: str, digest: str | None) -> None:
    """Raise where this person may not answer this approval so."""
    left = found.roles_left if answer is Answer.APPROVE and found.status == "pending" else found.roles
    if not actor.may(Permission.APPROVAL_ANSWER):
        raise Forbidden(f"to answer approval `{found.id}` needs the permission `{Permission.APPROVAL_ANSWER}`")
    if not roles_of(actor, left):
        wanted = " and ".join(f"`{role}`" for role in left)
        raise Forbidden(f"approval `{found.id}` {'still ' if left != found.roles else ''}waits for the role {wanted}")
    if found.quorum > 1:
        raise Conflict(f"approval `{found.id}` asks for {found.quorum} people; change its rule to ask for one")
    if digest is not None and digest.removeprefix("sha256:") != found.digest:
        raise Conflict(f"approval `{found.id}` is for another act than the one whose digest was given: look again")
    if len(comment) > COMMENT_LENGTH_MAX:
        raise InvalidRequest(f"a comment has at most {COMMENT_LENGTH_MAX} characters")
    if answer is Answer.DENY and not comment.strip():
        raise InvalidRequest("say why: the agent is shown the `comment` of a denial")


def roles_of(actor: Actor, wanted: Iterable[str]) -> tuple[str, ...]:
    """Return those of the wanted roles that a person answers with; an administrator answers with all."""
    held = {role.value for role in actor.roles}
    return tuple(role for role in wanted if role in held or Role.ADMIN in actor.roles)


def roles_asked(answers: Iterable[Mapping[str, Any]], left: Iterable[str]) -> tuple[str, ...]:
    """Return every role that an approval asks for: those that said yes, in that order, then those that did not yet."""
    return tuple(dict.fromkeys([*(role for each in answers for role in each["roles"]), *left]))


def _standing(found: Approval) -> str:
    left = ", ".join(f"`{role}`" for role in found.roles_left)
    return f"waiting for {left} alone" if found.status == "pending" else found.status
