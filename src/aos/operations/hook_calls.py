"""What comes in through hooks: a signed message from outside starts one run, whose every word is an outsider's.

Nobody is known before the signature is checked: a hook that there is not answers after the same work and in the same words as
one whose secret the sender does not have. An event counts once by its source and id, a message once by its signed id, as long
as Idempotency-Keys are kept.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from aos.kernel.acts import Pending, Refused
from aos.kernel.errors import Denied, Forbidden, IdempotencyMismatch, NotFound
from aos.kernel.hooks import (
    BAD_SIGNATURE,
    SECRET_BYTES,
    Event,
    HookSpec,
    Message,
    accepts,
    check_signature,
    hook_from,
    map_event,
    read_event,
    signature_of,
)
from aos.kernel.identity import ChainLink, Principal, PrincipalKind
from aos.kernel.origins import Source
from aos.kernel.people import Permission, roles_permit
from aos.operations.drivers import Drivers
from aos.operations.facts import FactsCache
from aos.operations.run_rows import RunRequest
from aos.operations.runs import Besides, Runs, RunStarted
from aos.store.hot.database import AppTransaction, Database, Row


class Taken(StrEnum):
    """What became of a message."""

    STARTED = "started"
    DUPLICATE = "duplicate"
    IGNORED = "ignored"
    WAITS = "pending"


@dataclass(frozen=True, slots=True)
class Received:
    """What is answered to a message: the run that it started, now or before, or the approval that it waits for."""

    taken: Taken
    run_id: UUID | None = None
    approval_id: UUID | None = None


class _Seen(Exception):
    """The message was taken before: undoes the start of a run."""


class HookCalls:
    """Takes messages."""

    def __init__(self, database: Database, facts: FactsCache, runs: Runs, drivers: Drivers) -> None:
        self._database = database
        self._facts = facts
        self._runs = runs
        self._drivers = drivers

    async def receive(self, organization_id: UUID | None, hook_id: UUID | None, message: Message) -> Received:
        """Take one message for a hook and return what became of it.

        Raises NotFound where there is no such hook and Unauthenticated where the signature is wrong or old, both in the same
        words; InvalidRequest, UnsupportedMediaType and InvalidCondition for an event that cannot be read or mapped; Forbidden
        where the hook's owner may no longer start runs; Denied where the gate refuses.
        """
        rows = await self._database.read("find_hook", {"organization_id": organization_id, "id": hook_id})
        if not rows:
            signature_of(message.id, message.headers.get("webhook-timestamp", ""), message.body, secret=_NO_SECRET)
            raise NotFound(BAD_SIGNATURE)
        found = rows[0]
        check_signature(message, await self._secret(found), now_seconds=self._facts.now().timestamp())
        spec, event = hook_from(found), read_event(message)
        if not accepts(spec, event):
            return Received(Taken.IGNORED)
        if not roles_permit(found["roles"], Permission.RUN_START):
            raise Forbidden(f"the owner of hook `{spec.name}` may no longer start runs: give it another")
        return await self._start(found, spec, event, message=message)

    async def _secret(self, found: Row) -> bytes:
        facts = await self._facts.of(found["organization_id"])
        bound_to = found["organization_id"].bytes + found["secret_id"].bytes
        if found["data_key_id"] not in facts.data_keys.by_id:
            facts = await self._facts.of(found["organization_id"], newer_than=facts.epoch)
        key = facts.data_keys.by_id[found["data_key_id"]]
        return self._drivers.crypto.open(key, found["sealed"], bound_to=bound_to)

    async def _start(self, found: Row, spec: HookSpec, event: Event, *, message: Message) -> Received:
        given = map_event(spec.mapping, event)
        owner = ChainLink(PrincipalKind.PERSON, found["owner_id"], found["owner"])
        principal = Principal(found["organization_id"], (owner,), roles=tuple(sorted(found["roles"])))
        request = RunRequest(
            workflow=spec.workflow or None,
            agent=spec.agent or None,
            input=given.input,
            goal=given.goal,
            labels=given.labels,
            idempotency_key=f"hook:{found['id']}:{event.key}",
            origin=Source.UNTRUSTED,
        )
        try:
            started = await self._runs.start_run(principal, request, besides=self._besides(found, message))
        except (_Seen, IdempotencyMismatch):
            # The same source and id say that it is the same event, whatever else the message holds.
            return Received(Taken.DUPLICATE)
        match started:
            case RunStarted(run_id=run_id, replayed=replayed):
                return Received(Taken.DUPLICATE if replayed else Taken.STARTED, run_id)
            case Pending(approval_id=approval_id):
                return Received(Taken.WAITS, approval_id=approval_id)
            case Refused(action_id=action_id, detail=detail):
                raise Denied(detail, reasons=started.reasons, extra={"action_id": str(action_id)})

    def _besides(self, found: Row, message: Message) -> Besides:
        """Return what is written with the run: that the hook was used, and that this signed message was taken."""
        where = {"organization_id": found["organization_id"], "id": found["id"]}
        taken: dict[str, Any] = {
            "organization_id": found["organization_id"],
            "principal_id": found["owner_id"],
            "key": f"hook:{found['id']}:message:{message.id}",
            "digest": hashlib.sha256(message.body).digest(),
        }

        async def note(transaction: AppTransaction, run_id: UUID) -> None:
            if not await transaction.run("take_message", taken):
                raise _Seen
            await transaction.run("note_hook_call", where)

        return note


_NO_SECRET = bytes(SECRET_BYTES)
