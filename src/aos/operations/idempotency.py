"""Writes asked for under an Idempotency-Key: done once, and answered the same again.

The key, the change and the stored answer are one transaction, so a write that failed leaves no trace of its key. The
answer is content, sealed. What is shown once (private keys, tokens) is taken out before it is stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from aos.kernel.errors import FieldError, IdempotencyMismatch, InvalidRequest, StillRunning
from aos.kernel.json import Json, canonical_json
from aos.kernel.people import Actor
from aos.operations.contents import open_json, seal_content
from aos.operations.data_keys import load_data_keys
from aos.operations.drivers import Drivers
from aos.operations.registry_records import Edit, Undone, open_edit
from aos.store.cold.connection import run_sql, tenant
from aos.store.rows import rows_json

KEY_LENGTH_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Reply:
    """What a write answers. `once` names the fields of `body` that are shown now and never again."""

    status: int
    body: Json
    location: str | None = None
    once: tuple[str, ...] = ()
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """How a write is asked for: what it is, under which key, and whether it is only tried."""

    name: str
    body: Json
    key: str | None = None
    dry_run: bool = False


def perform_write(drivers: Drivers, actor: Actor, request: WriteRequest, *, do: Callable[[Edit], Reply]) -> Reply:
    """Do a write in one transaction and return its answer, or the answer stored under the same key.

    A dry run does everything, the checks of the database included, and undoes it. Raises IdempotencyMismatch where the
    key came with another request, StillRunning while the first is at work, and what `do` raises.
    """
    if request.key is not None:
        check_key(request.key)
    reply: Reply | None = None
    try:
        with tenant(actor.organization_id):
            stored = _find(drivers, actor, request)
            if stored is not None:
                return stored
            edit = open_edit(drivers, actor)
            reply = do(edit)
            edit.write_records()
            if request.dry_run:
                raise Undone
            if request.key is not None:
                _store(drivers, actor, request, reply=reply)
    except Undone:
        assert reply is not None
        return Reply(200 if reply.status == 201 else reply.status, _without(reply))
    return reply


def perform_write_apart(drivers: Drivers, actor: Actor, request: WriteRequest, *, do: Callable[[], Reply]) -> Reply:
    """Do a write that opens a transaction of its own, in another organization, and keep its answer afterwards.

    What `do` writes must refuse to be written twice by itself: a process that dies between leaves no stored answer.
    """
    with tenant(actor.organization_id):
        stored = _find(drivers, actor, request)
    if stored is not None:
        return stored
    reply = do()
    if request.dry_run:
        return Reply(200 if reply.status == 201 else reply.status, _without(reply))
    if request.key is not None:
        with tenant(actor.organization_id):
            _store(drivers, actor, request, reply=reply)
    return reply


def check_key(key: str) -> None:
    """Raise InvalidRequest for an Idempotency-Key that is empty, too long or not printable."""
    if not (0 < len(key) <= KEY_LENGTH_MAX and key.isprintable()):
        detail = f"must have 1 to {KEY_LENGTH_MAX} printable characters"
        raise InvalidRequest(f"`Idempotency-Key` {detail}", errors=[FieldError("", detail)])


def _find(drivers: Drivers, actor: Actor, request: WriteRequest) -> Reply | None:
    """Return the answer stored under the key, having taken the key until the transaction ends."""
    if request.key is None:
        return None
    params = _named(actor, request.key)
    if not run_sql("lock_idempotency", params)[0]["taken"]:
        raise StillRunning(f"the first request under Idempotency-Key `{request.key}` is still at work: ask again")
    rows = run_sql("find_idempotency", params)
    if not rows:
        return None
    if rows[0]["request_digest"] != _digest(request):
        raise IdempotencyMismatch(f"Idempotency-Key `{request.key}` was used for another request: take a new key")
    stored: Any = open_json(rows[0], keys=load_data_keys(drivers, actor.organization_id), crypto=drivers.crypto)
    return Reply(rows[0]["status"], stored["body"], stored["location"], replayed=True)


def _store(drivers: Drivers, actor: Actor, request: WriteRequest, *, reply: Reply) -> None:
    assert request.key is not None
    keys = load_data_keys(drivers, actor.organization_id)
    sealed = seal_content(
        {"body": _without(reply), "location": reply.location},
        purpose="idempotent-answer",
        organization_id=actor.organization_id,
        keys=keys,
        crypto=drivers.crypto,
        ids=drivers.ids,
    )
    run_sql("append_content", {"contents": rows_json([sealed.row])})
    params = {
        **_named(actor, request.key),
        "request_digest": _digest(request),
        "status": reply.status,
        "answer_content_id": sealed.row.id,
    }
    run_sql("insert_idempotency", params)


def _without(reply: Reply) -> Json:
    """Return the answer without what is shown once, saying so."""
    if not reply.once or not isinstance(reply.body, dict):
        return reply.body
    kept = {name: None if name in reply.once else value for name, value in reply.body.items()}
    return {**kept, "note": f"{', '.join(reply.once)}: shown once, in the first answer, and not stored"}


def _named(actor: Actor, key: str) -> dict[str, Any]:
    return {"organization_id": actor.organization_id, "principal_id": actor.person_id, "key": key}


def _digest(request: WriteRequest) -> bytes:
    body = canonical_json([request.name, request.dry_run, request.body])
    return hashlib.sha256(body).digest()
