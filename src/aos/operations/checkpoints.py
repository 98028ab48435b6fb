"""Checkpoints of graphs: where each stands, kept for its agent and thread, encrypted as content.

A checkpoint is read and written under the claim of a task, in the organization's own transaction. The thread is the task's,
whatever the host says: what an agent's code names besides only divides its own thread. What is kept is opaque here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from aos.kernel.errors import InvalidRequest, StaleClaim, TooLarge
from aos.kernel.json import Json
from aos.kernel.limits import CHECKPOINTS_LISTED_MAX, CHECKPOINTS_PER_THREAD_MAX
from aos.operations.contents import open_content, seal_content
from aos.operations.drivers import Drivers
from aos.operations.facts import FactsCache
from aos.operations.passes import PassState
from aos.store.hot.database import AppTransaction, Database, Row
from aos.store.rows import rows_json
from aos_sdk.frames import CHECKPOINT_BYTES_MAX, Call

TEXT_LENGTH_MAX: Final = 1_000
"""Longest thread, namespace, id or writer that a host may name."""
_PURPOSE: Final = "checkpoint"
_PART: Final = "\x1f"
"""Between a thread of the agent's own making and the namespace within it."""


class Checkpoints:
    """Keeps and finds checkpoints."""

    def __init__(self, database: Database, facts: FactsCache, drivers: Drivers) -> None:
        self._database = database
        self._facts = facts
        self._drivers = drivers

    async def answer(self, state: PassState, call: Call) -> Json:
        """Do what a checkpoint call of a pass asks for and return its value.

        Raises StaleClaim where the task was taken away, TooLarge where a checkpoint or a thread is over its limit, and
        InvalidRequest where the call is none.
        """
        given = call.arguments
        where = _where(state)
        async with self._database.app(state.task.organization_id) as transaction:
            match call.name:
                case "put":
                    await self._put(transaction, where, given)
                case "writes":
                    await self._put_writes(transaction, where, given)
                case "list":
                    return await self._list(transaction, where, given)
                case "forget":
                    await self._run(transaction, "forget_checkpoints", where)
                case other:
                    raise InvalidRequest(f"there is no checkpoint call `{other[:40]}`")
        return None

    async def _put(self, transaction: AppTransaction, where: Mapping[str, Any], given: Mapping[str, Json]) -> None:
        (row,) = await transaction.run("count_checkpoints", where)
        if row["count"] >= CHECKPOINTS_PER_THREAD_MAX:
            raise TooLarge(
                f"thread `{where['thread']}` holds {row['count']} checkpoints, the most that one may: go on under another"
            )
        params = {
            **where,
            "namespace": _namespace(given),
            "id": _text(given, "id"),
            "parent_id": _text(given, "parent") if given.get("parent") else None,
        }
        await self._run(transaction, "put_checkpoint", await self._with_content(params, given))

    async def _put_writes(
        self, transaction: AppTransaction, where: Mapping[str, Any], given: Mapping[str, Json]
    ) -> None:
        slot = given.get("slot")
        if not isinstance(slot, int) or not -1_000 < slot < 1_000_000:
            raise InvalidRequest("the slot of what a node wrote is a small number")
        params = {
            **where,
            "namespace": _namespace(given),
            "checkpoint_id": _text(given, "id"),
            "writer": _text(given, "writer"),
            "slot": slot,
            "replaces": given.get("replaces") is True,
        }
        await self._run(transaction, "put_checkpoint_writes", await self._with_content(params, given))

    async def _list(self, transaction: AppTransaction, where: Mapping[str, Any], given: Mapping[str, Json]) -> Json:
        limit = given.get("limit")
        rows = await transaction.run(
            "list_checkpoints",
            {
                **where,
                "namespace": _namespace(given) if given.get("namespace") is not None else None,
                "id": _text(given, "id") if given.get("id") else None,
                "before": _text(given, "before") if given.get("before") else None,
                "limit": min(limit, CHECKPOINTS_LISTED_MAX) if isinstance(limit, int) else CHECKPOINTS_LISTED_MAX,
            },
        )
        ids = [row["checkpoint_id"] for row in rows]
        written = await transaction.run("list_checkpoint_writes", {**where, "checkpoint_ids": ids}) if ids else []
        keys = (await self._facts.of(where["organization_id"])).data_keys
        return [self._shown(row, written, keys) for row in rows]

    def _shown(self, row: Row, written: Sequence[Row], keys: Any) -> Json:
        crypto = self._drivers.crypto
        key = (row["namespace"], row["checkpoint_id"])
        return {
            "id": row["checkpoint_id"],
            "namespace": row["namespace"].rpartition(_PART)[2],
            "parent": row["parent_id"],
            "body": open_content(row, keys=keys, crypto=crypto),
            "writes": [
                {
                    "writer": each["writer"],
                    "slot": each["slot"],
                    "body": open_content(each, keys=keys, crypto=crypto),
                }
                for each in written
                if (each["namespace"], each["checkpoint_id"]) == key
            ],
        }

    async def _with_content(self, params: Mapping[str, Any], given: Mapping[str, Json]) -> dict[str, Any]:
        body: Any = given.get("body")
        if not isinstance(body, bytes):
            raise InvalidRequest("the body of a checkpoint is bytes")
        if len(body) > CHECKPOINT_BYTES_MAX:
            raise TooLarge(f"a checkpoint of {len(body)} bytes is over the limit of {CHECKPOINT_BYTES_MAX}")
        organization_id: UUID = params["organization_id"]
        sealed = seal_content(
            body,
            purpose=_PURPOSE,
            organization_id=organization_id,
            keys=(await self._facts.of(organization_id)).data_keys,
            crypto=self._drivers.crypto,
            ids=self._drivers.ids,
        )
        return {**params, "content_id": sealed.row.id, "contents": rows_json([sealed.row])}

    async def _run(self, transaction: AppTransaction, name: str, params: Mapping[str, Any]) -> None:
        if not await transaction.run(name, params):
            raise StaleClaim("the task was taken from this worker; its checkpoint was not written")


def _where(state: PassState) -> dict[str, Any]:
    """Return whose thread a pass may read and write; one that is the task's alone is forgotten with its run."""
    task = state.task
    return {
        "organization_id": task.organization_id,
        "agent_id": state.agent.id,
        "thread": task.thread,
        "run_id": None if task.run.thread else task.run_id,
        "task_id": task.id,
        "claim_token": task.token,
    }


def _namespace(given: Mapping[str, Json]) -> str:
    part, namespace = given.get("part") or "", given.get("namespace") or ""
    if not isinstance(part, str) or not isinstance(namespace, str) or len(part) + len(namespace) > TEXT_LENGTH_MAX:
        raise InvalidRequest(f"the namespace of a checkpoint has at most {TEXT_LENGTH_MAX} characters")
    return f"{part}{_PART}{namespace}" if part else namespace


def _text(given: Mapping[str, Json], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= TEXT_LENGTH_MAX:
        raise InvalidRequest(f"the `{name}` of a checkpoint has 1 to {TEXT_LENGTH_MAX} characters")
    return value
