"""Push notifications of A2A tasks: where they go, and their delivery.

A notification is the whole task as it stands (`StreamResponse`, A2A 1.0, section 4.3.3). It is told at least once for each
state that a task is found in, and again with growing pauses until the receiver takes it or `TRIES_MAX` is reached. Rules a
reader must not break:
- An address, its token and its credentials are content: sealed, and erased when the address is deleted.
- An address obeys the organization's permitted hosts twice: when it is given, and each time that it is spoken to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from a2a.types import AuthenticationInfo, TaskPushNotificationConfig

from aos.kernel.a2a import TERMINAL, backoff_seconds
from aos.kernel.errors import AosError, FieldError, InvalidRequest, NotFound, UpstreamFailed
from aos.kernel.identity import Principal
from aos.kernel.json import Json
from aos.kernel.limits import NAME_LENGTH_MAX, TARGET_BYTES_MAX
from aos.kernel.permitted_hosts import is_permitted
from aos.kernel.ports import UpstreamRequest
from aos.operations.a2a_documents import first_event, plain
from aos.operations.a2a_tasks import A2aTask, load_task
from aos.operations.contents import open_json
from aos.operations.drivers import Drivers
from aos.operations.ends import seal
from aos.operations.facts import FactsCache, OrganizationFacts
from aos.store.hot.database import Database, Row
from aos.store.rows import rows_json

TOKEN_HEADER: Final = b"X-A2A-Notification-Token"
CONFIGS_MAX: Final = 20
"""Addresses that are told of one task."""
TRIES_MAX: Final = 20
"""Tries of one notification before its address is given up: after more than a day."""
FIRST_PAUSE_SECONDS: Final = 1.0
PAUSE_SECONDS_MAX: Final = 6 * 3600.0
LEASE_SECONDS: Final = 60
"""How long a notification that was taken is left to whoever took it."""
TAKEN_MAX: Final = 20
LOOKS_MAX: Final = 500
"""At how many notifications one turn looks, whatever their number."""
DELIVER_SECONDS: Final = 40.0
"""How long one delivery may take in all: less than its lease, however slowly a receiver answers."""
ANSWER_BYTES_MAX: Final = 65_536
_SECRET_LENGTH_MAX: Final = 8_000
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Push:
    """Where notifications go: `token` and `Authorization` are sent along."""

    id: str
    url: str
    token: str = ""
    scheme: str = ""
    credentials: str = ""


def read_push(config: Mapping[str, Any]) -> Push:
    """Return what a client's `TaskPushNotificationConfig` says; raise InvalidRequest where it cannot be kept."""
    authentication = config.get("authentication") or {}
    push = Push(
        id=str(config.get("id", "")),
        url=str(config.get("url", "")),
        token=str(config.get("token", "")),
        scheme=str(authentication.get("scheme", "")),
        credentials=str(authentication.get("credentials", "")),
    )
    for name, value in (("token", push.token), ("authentication", push.scheme + push.credentials)):
        if len(value) > _SECRET_LENGTH_MAX or not (value.isascii() and (not value or value.isprintable())):
            raise _wrong(name, f"must have at most {_SECRET_LENGTH_MAX} printable ASCII characters")
    if len(push.id) > NAME_LENGTH_MAX or (push.id and not push.id.isprintable()):
        raise _wrong("id", f"must have at most {NAME_LENGTH_MAX} printable characters")
    return push


class A2aPushes:
    """Keeps where notifications go, and delivers them."""

    def __init__(self, database: Database, facts: FactsCache, drivers: Drivers) -> None:
        self._database = database
        self._facts = facts
        self._drivers = drivers
        self.deliver_seconds = DELIVER_SECONDS

    async def check(self, principal: Principal, push: Push) -> None:
        """Raise InvalidRequest where an address is none, or its host is not permitted."""
        facts = await self._facts.of(principal.organization_id)
        if not push.url.startswith(("http://", "https://")) or len(push.url) > TARGET_BYTES_MAX:
            raise _wrong("url", "must be an address like `https://host/path`")
        if not is_permitted(push.url, facts.hosts):
            raise _wrong("url", "is at a host that is not among the permitted hosts of the organization")

    async def save(self, principal: Principal, task: A2aTask, push: Push) -> TaskPushNotificationConfig:
        """Keep an address for a task, in place of one of the same id; raise InvalidRequest past CONFIGS_MAX."""
        facts = await self._facts.of(principal.organization_id)
        id = push.id or str(self._drivers.ids.new())
        told: Json = {
            "id": id,
            "url": push.url,
            "token": push.token,
            "scheme": push.scheme,
            "credentials": push.credentials,
        }
        sealed = seal(told, "a2a-push", facts, self._drivers)
        params = {
            "organization_id": facts.id,
            "task_id": task.id,
            "id": id,
            "config_content_id": sealed.row.id,
            "contents": rows_json([sealed.row]),
            "at_most": CONFIGS_MAX,
        }
        async with self._database.app(facts.id) as transaction:
            rows = await transaction.run("save_a2a_push", params)
        if not rows:
            raise InvalidRequest(f"at most {CONFIGS_MAX} addresses are told of a task: delete one first")
        return _config(told, task)

    async def find(self, principal: Principal, task: A2aTask, id: str) -> TaskPushNotificationConfig:
        """Return one address of a task; raise NotFound."""
        rows, facts = await self._rows(principal, task, id=id)
        if not rows:
            raise NotFound(f"there is no push notification config `{id[:60]}` of task `{task.id}`")
        return self._opened(rows[0], facts, task)

    async def page(
        self, principal: Principal, task: A2aTask, *, limit: int, after: str | None
    ) -> tuple[list[TaskPushNotificationConfig], str]:
        """Return the addresses of a task in the order of their ids, and the token of the next page."""
        rows, facts = await self._rows(principal, task, after=after, limit=limit + 1)
        token = rows[limit - 1]["id"] if len(rows) > limit else ""
        return [self._opened(row, facts, task) for row in rows[:limit]], token

    async def delete(self, principal: Principal, task: A2aTask, id: str) -> None:
        """Stop telling an address, and forget it; one that is not there is no error."""
        params = {"organization_id": principal.organization_id, "task_id": task.id, "id": id}
        async with self._database.app(principal.organization_id) as transaction:
            await transaction.run("delete_a2a_push", params)

    async def _rows(
        self, principal: Principal, task: A2aTask, *, id: str | None = None, after: str | None = None, limit: int = 1
    ) -> tuple[list[Row], OrganizationFacts]:
        facts = await self._facts.of(principal.organization_id)
        params = {"organization_id": facts.id, "task_id": task.id, "id": id, "after_id": after, "limit": limit}
        async with self._database.app(facts.id) as transaction:
            return await transaction.run("list_a2a_pushes", params), facts

    def _opened(self, row: Row, facts: OrganizationFacts, task: A2aTask) -> TaskPushNotificationConfig:
        content = {**row, "id": row["content_id"]}
        return _config(open_json(content, keys=facts.data_keys, crypto=self._drivers.crypto), task)

    # --- delivery --------------------------------------------------------------------------------------------------------

    async def take(self) -> list[Row]:
        """Take notifications that are due, so that no other worker does for a while."""
        params = {"limit": TAKEN_MAX, "looks": LOOKS_MAX, "lease_seconds": LEASE_SECONDS}
        async with self._database.machine() as transaction:
            return await transaction.run("claim_a2a_pushes", params)

    async def deliver(self, taken: Row) -> bool:
        """Tell one address how its task stands, and write whether it took it; nobody is told for a sender who has left."""
        facts = await self._facts.of(taken["organization_id"])
        task = await load_task(self._database, facts, self._drivers, {"id": taken["task_id"]})
        push = await self._config_of(taken, facts)
        if task is None or push is None or not taken["stands"]:
            await self._conclude(taken, state="given-up")
            return False
        if await self._post(push, task, facts):
            await self._conclude(taken, state="done" if task.state in TERMINAL else "active", sent=task.phase.value)
            return True
        if taken["tries"] >= TRIES_MAX:
            await self._conclude(taken, state="given-up")
        else:
            pause = backoff_seconds(taken["tries"], first=FIRST_PAUSE_SECONDS, most=PAUSE_SECONDS_MAX)
            await self._conclude(taken, state="active", delay_seconds=pause)
        return False

    async def _config_of(self, taken: Row, facts: OrganizationFacts) -> Push | None:
        where = {"organization_id": facts.id, "ids": [taken["config_content_id"]], "bytes_max": TARGET_BYTES_MAX * 2}
        async with self._database.app(facts.id) as transaction:
            rows = await transaction.run("load_contents", where)
        if not rows or rows[0]["sealed"] is None:
            return None
        try:
            told: Any = open_json(rows[0], keys=facts.data_keys, crypto=self._drivers.crypto)
        except AosError:
            return None
        return Push(**told)

    async def _post(self, push: Push, task: A2aTask, facts: OrganizationFacts) -> bool:
        """Send one notification; say whether the receiver took it."""
        if self._drivers.web is None:
            return False
        headers = [(b"Content-Type", b"application/a2a+json")]
        if push.token:
            headers.append((TOKEN_HEADER, push.token.encode("ascii")))
        if push.scheme and push.credentials:
            headers.append((b"Authorization", f"{push.scheme} {push.credentials}".encode("ascii")))
        request = UpstreamRequest(
            push.url,
            tuple(headers),
            _encode(plain(first_event(task))),
            facts.hosts,
            connect_seconds=5,
            first_byte_seconds=20,
            idle_seconds=10,
        )
        try:
            async with asyncio.timeout(self.deliver_seconds):
                answer = await self._drivers.web.send(request)
                try:
                    await answer.read(at_most=ANSWER_BYTES_MAX)
                finally:
                    await answer.close()
        except (UpstreamFailed, TimeoutError):
            return False
        return 200 <= answer.status < 300

    async def _conclude(self, taken: Row, *, state: str, sent: str | None = None, delay_seconds: float = 0) -> None:
        params = {
            "organization_id": taken["organization_id"],
            "task_id": taken["task_id"],
            "id": taken["id"],
            "state": state,
            "sent_phase": sent,
            "delay_seconds": delay_seconds,
        }
        async with self._database.machine() as transaction:
            await transaction.run("conclude_a2a_push", params)


def _config(told: Any, task: A2aTask) -> TaskPushNotificationConfig:
    found = TaskPushNotificationConfig(id=told["id"], task_id=str(task.id), url=told["url"], token=told["token"])
    if told["scheme"]:
        found.authentication.CopyFrom(AuthenticationInfo(scheme=told["scheme"], credentials=told["credentials"]))
    return found


def _wrong(field: str, detail: str) -> InvalidRequest:
    return InvalidRequest(f"`{field}` {detail}", errors=[FieldError(f"/{field}", detail)])
