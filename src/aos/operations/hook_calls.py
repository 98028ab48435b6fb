"""What comes in through hooks: a signed message from outside starts one run, or signals one, and its every word is an outsider's.

Nobody is known before the signature is checked: a hook that there is not answers after the same work and in the same words as
one whose secret the sender does not have. An event counts once by its source and id, a message once by its signed id, as long
as Idempotency-Keys are kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias
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
    check_signed,
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
from aos.operations.runs import Runs, RunStarted
from aos.operations.signals import SignalRequest, Signals, SignalSent
from aos.store.hot.database import AppTransaction, Database, MachineTransaction, Row


class Taken(StrEnum):
    """What became of a message."""

    STARTED = "started"
    SENT = "sent"
    DUPLICATE = "duplicate"
    IGNORED = "ignored"
    WAITS = "pending"


@dataclass(frozen=True, slots=True)
class Received:
    """What is answered to a message: the run that it started or signalled, now or before, or the approval it waits for."""

    taken: Taken
    run_id: UUID | None = None
    approval_id: UUID | None = None


_Note: TypeAlias = Callable[[AppTransaction | MachineTransaction, UUID], Awaitable[None]]


class _Seen(Exception):
    """The message was taken before: undoes the start of a run."""


class HookCalls:
    """Takes messages."""

    def __init__(
        self, database: Database, facts: FactsCache, runs: Runs, drivers: Drivers, *, signals: Signals
    ) -> None:
        self._database = database
        self._facts = facts
        self._runs = runs
        self._signals = signals
        self._drivers = drivers

    async def receive(self, organization_id: UUID | None, hook_id: UUID | None, message: Message) -> Received:
        """Take one message for a hook and return what became of it.

        Raises NotFound where there is no such hook and Unauthenticated where the signature is wrong or old, both in the same
        words; InvalidRequest, UnsupportedMediaType and InvalidCondition for an event that cannot be read or mapped, or of which
        the hook reads what is not signed; Forbidden where the hook's owner may no longer start or steer runs; Denied where the
        gate refuses; NotFound and Conflict for a signal to a run that there is not, or that has ended.
        """
        rows = await self._database.read("find_hook", {"organization_id": organization_id, "id": hook_id})
        if not rows:
            signature_of(message.id, message.headers.get("webhook-timestamp", ""), message.body, secret=_NO_SECRET)
            raise NotFound(BAD_SIGNATURE)
        found = rows[0]
        check_signature(message, await self._secret(found), now_seconds=self._facts.now().timestamp())
        spec, event = hook_from(found), read_event(message)
        check_signed(spec, event)
        if not accepts(spec, event):
            return Received(Taken.IGNORED)
        needed, what = (Permission.RUN_CONTROL, "steer") if spec.signal else (Permission.RUN_START, "start")
        if not roles_permit(found["roles"], needed):
            raise Forbidden(f"the owner of hook `{spec.name}` may no longer {what} runs: give it another")
        if spec.signal:
            return await self._signal(found, spec, event, message=message)
        return await self._start(found, spec, event, message=message)

    async def _secret(self, found: Row) -> bytes:
        facts = await self._facts.of(found["organization_id"])
        bound_to = found["organization_id"].bytes + found["secret_id"].bytes
        if found["data_key_id"] not in facts.data_keys.by_id:
            facts = await self._facts.of(found["organization_id"], newer_than=facts.epoch)
        key = facts.data_keys.by_id[found["data_key_id"]]
        return self._drivers.crypto.open(key, found["sealed"], bound_to=bound_to)

    async def _start(self, found: Row, spec: HookSpec, event: Event, *, message: Message) -> Received:
        given, principal = map_event(spec, event), _owner(found)
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

    async def _signal(self, found: Row, spec: HookSpec, event: Event, *, message: Message) -> Received:
        given, key = map_event(spec, event), f"hook:{found['id']}:{event.key}"
        assert given.run is not None
        request = SignalRequest(
            given.run, spec.signal, given.input, key=key, origin=Source.UNTRUSTED, idempotency_key=f"{key}:{given.run}"
        )
        note = self._besides(found, message)

        async def besides(transaction: MachineTransaction) -> None:
            await note(transaction, request.run_id)

        try:
            sent = await self._signals.send_signal(_owner(found), request, besides=besides)
        except (_Seen, IdempotencyMismatch):
            return Received(Taken.DUPLICATE)
        match sent:
            case SignalSent(run_id=run_id, replayed=replayed):
                return Received(Taken.DUPLICATE if replayed else Taken.SENT, run_id)
            case Pending(approval_id=approval_id):
                return Received(Taken.WAITS, approval_id=approval_id)
            case Refused(action_id=action_id, detail=detail):
                raise Denied(detail, reasons=sent.reasons, extra={"action_id": str(action_id)})

    def _besides(self, found: Row, message: Message) -> _Note:
        """Return what is written with the run or signal: that the hook was used, and that this signed message was taken."""
        where = {"organization_id": found["organization_id"], "id": found["id"]}
        taken: dict[str, Any] = {
            "organization_id": found["organization_id"],
            "principal_id": found["owner_id"],
            "key": f"hook:{found['id']}:message:{message.id}",
            "digest": hashlib.sha256(message.body).digest(),
        }

        async def note(transaction: AppTransaction | MachineTransaction, run_id: UUID) -> None:
            if not await transaction.run("take_message", taken):
                raise _Seen
            await transaction.run("note_hook_call", where)

        return note


def _owner(found: Row) -> Principal:
    """Return who acts: the hook's owner, with the roles that they hold now."""
    owner = ChainLink(PrincipalKind.PERSON, found["owner_id"], found["owner"])
    return Principal(found["organization_id"], (owner,), roles=tuple(sorted(found["roles"])))


_NO_SECRET = bytes(SECRET_BYTES)
