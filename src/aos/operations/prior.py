"""What is already recorded of an act: the outcome under its call key or Idempotency-Key, or the approval it waits for.

A call inside a task is known by its task, key, attempt and tries; an act outside by its principal and Idempotency-Key, or
by an approval that was opened for it. Nothing here decides or writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import UUID

from aos.kernel.acts import Act, ActionState, Pending, Recorded
from aos.kernel.errors import Conflict, IdempotencyMismatch, NotFound, StillRunning
from aos.kernel.identity import PrincipalKind
from aos.operations.contents import DataKeys, open_json
from aos.operations.decided import told_of
from aos.operations.drivers import Drivers
from aos.store.hot.database import Database, Row


@dataclass(frozen=True, slots=True)
class Approved:
    """An approval that stands and was opened for this very act."""

    approval_id: UUID
    action_id: UUID
    rules: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Unknown:
    """The act was sent before and its outcome is not known.

    `rules` are those that a person's yes covered then: the same call under the same key is still the same act.
    """

    action_id: UUID
    rules: Mapping[str, int] = field(default_factory=dict)


_UNDER_WAY: Final = frozenset({ActionState.INTENDED, ActionState.WAITING})

Prior = Recorded | Pending | Approved | Unknown | None


class PriorReader:
    """Reads what is recorded of an act."""

    def __init__(self, database: Database, drivers: Drivers) -> None:
        self._database = database
        self._drivers = drivers

    async def prior(self, act: Act, keys: DataKeys) -> Prior:
        """Return what is recorded of `act`, None where it is new.

        Raises IdempotencyMismatch, StillRunning, and Conflict or NotFound for an approval that is not for this act.
        """
        if act.call is not None:
            return await self._of_call(act, keys)
        if act.idempotency_key is None and act.approval_id is None:
            found = await self._open_approval(act) if act.resumes else None
            if found is None:
                return None
            act = replace(act, approval_id=found)
        return await self._of_key(act, keys)

    async def outcome(self, organization_id: UUID, action_id: UUID, keys: DataKeys) -> Recorded | None:
        """Return what an action has come to, None while it has come to nothing."""
        rows = await self._database.read("load_outcome", {"organization_id": organization_id, "action_id": action_id})
        if not rows or rows[0]["state"] in _UNDER_WAY:
            return None
        return self._recorded(rows[0], ActionState(rows[0]["state"]), keys)

    async def _open_approval(self, act: Act) -> UUID | None:
        agent = act.principal.actor.kind is PrincipalKind.AGENT
        where = {
            "organization_id": act.principal.organization_id,
            "principal_id": act.principal.actor.id,
            "agent_id": act.principal.actor.id if agent else None,
            "digest": act.digest,
            "task_id": act.principal.claim.task_id if act.principal.claim is not None else None,
        }
        rows = await self._database.read("find_open_approval", where)
        return rows[0]["id"] if rows else None

    async def _of_call(self, act: Act, keys: DataKeys) -> Prior:
        claim = act.principal.claim
        assert act.call is not None
        assert claim is not None
        rows = await self._database.read(
            "load_call",
            {
                "organization_id": act.principal.organization_id,
                "task_id": claim.task_id,
                "key": act.call.key,
                "attempt": claim.attempt,
                "tries": act.call.tries,
            },
        )
        if not rows:
            return None
        row = rows[0]
        match row["state"]:
            case "waiting":
                return self._waiting(row, act)
            case "intended":
                raise StillRunning(f"call `{act.name}` of this task is under way")
            case "unknown":
                return Unknown(row["action_id"], _covered(row))
            case state:
                return self._recorded(row, ActionState(state), keys)

    async def _of_key(self, act: Act, keys: DataKeys) -> Prior:
        principal = act.principal
        rows = await self._database.read(
            "load_keyed",
            {
                "organization_id": principal.organization_id,
                "principal_id": principal.actor.id,
                "key": act.idempotency_key,
                "approval_id": act.approval_id,
                "task_id": principal.claim.task_id if principal.claim is not None else None,
            },
        )
        row = rows[0]
        if row["request_digest"] is not None and row["request_digest"] != act.digest:
            raise IdempotencyMismatch(
                f"Idempotency-Key `{act.idempotency_key}` was used for another act: use a new key for a new act"
            )
        if act.approval_id is not None and row["approval_id"] is None:
            raise NotFound(f"no approval `{act.approval_id}` was opened for an act of yours")
        if row["action_id"] is None:
            return None
        if row["digest"] != act.digest:
            raise Conflict(f"approval `{act.approval_id}` was given for another act: repeat the very act it names")
        match row["state"]:
            case "waiting":
                return self._waiting(row, act)
            case "intended":
                raise StillRunning("the first act under this key is under way")
            case "unknown":
                return Unknown(row["action_id"], _covered(row))
            case state:
                return self._recorded(row, ActionState(state), keys)

    def _waiting(self, row: Row, act: Act) -> Prior:
        status, stands = row["approval_status"], row["approval_stands"]
        if status == "pending" and stands:
            return Pending(row["action_id"], row["approval_id"], "waits for a person's answer")
        if status == "approved" and stands and row["approval_digest"] == act.digest:
            rules = {rule["id"]: rule["version"] for rule in row["approval_rules"]}
            return Approved(row["approval_id"], row["action_id"], rules)
        return None  # expired: the same act may ask again

    def _recorded(self, row: Row, state: ActionState, keys: DataKeys) -> Recorded:
        value = _open(row, keys, self._drivers) if row["sealed"] is not None else None
        if state is ActionState.PERFORMED:
            return Recorded(row["action_id"], state, value, replayed=True)
        detail, reasons = told_of(value)
        return Recorded(
            row["action_id"], state, error=row["error_code"] or "", detail=detail, reasons=reasons, replayed=True
        )


def _covered(row: Row) -> dict[str, int]:
    """Return the rules that a used approval covered, none where there was none."""
    if row["approval_status"] != "used":
        return {}
    return {rule["id"]: rule["version"] for rule in row["approval_rules"]}


def _open(row: Row, keys: DataKeys, drivers: Drivers) -> Any:
    return open_json(row, keys=keys, crypto=drivers.crypto)
