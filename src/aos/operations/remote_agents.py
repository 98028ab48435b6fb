"""Agents elsewhere: their cards checked, tasks sent to them, looked after and taken back (A2A 1.0, JSON-RPC).

Messages are the official library's types; they travel over the one client that obeys the organization's permitted hosts.
Rules a reader must not break:
- Nothing is sent before the card is read and stands up to what was accepted of it, its signatures included. Without a pin
  it may name no address but that of its own origin.
- One attempt of a task is one message (`messageId`), so that an agent that is asked twice can tell.
- That a task was sent is written before it is: whoever cancels it later finds where it went.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import msgspec
from a2a.types import (
    AgentCard,
    CancelTaskRequest,
    GetTaskRequest,
    Message,
    Part,
    Role,
    SendMessageConfiguration,
    SendMessageRequest,
    SendMessageResponse,
    Task,
)
from a2a.types import TaskState as WireState
from a2a.utils.constants import AGENT_CARD_WELL_KNOWN_PATH, PROTOCOL_VERSION_1_0, VERSION_HEADER, TransportProtocol
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError

from aos.kernel.a2a import INTERRUPTED, TERMINAL, Phase, TaskState
from aos.kernel.agents import Agent
from aos.kernel.errors import AosError, UpstreamFailed
from aos.kernel.json import Json, canonical_json, depth
from aos.kernel.limits import ARGUMENTS_DEPTH_MAX, INPUT_BYTES_MAX
from aos.kernel.money import Money, format_amount
from aos.kernel.permitted_hosts import is_permitted
from aos.kernel.ports import UpstreamRequest
from aos.kernel.scrubbing import SCRUBBED, spellings
from aos.operations.a2a_documents import PHASE_META, part_of
from aos.operations.a2a_messages import BUDGET_META, DEADLINE_META, TRACE_META
from aos.operations.card_keys import keys_in, keys_named_by, origin_of
from aos.operations.drivers import Drivers
from aos.operations.facts import OrganizationFacts

ANSWER_BYTES_MAX: Final = INPUT_BYTES_MAX
CARD_BYTES_MAX: Final = 262_144
CONNECT_SECONDS: Final = 10
ANSWER_SECONDS: Final = 30
EXCHANGE_SECONDS: Final = 45.0
"""How long one exchange of A2A may take in all, however slowly the far side answers: less than any lease on it."""
_MISFITS: Final = (ParseError, ValueError, TypeError, AttributeError, RecursionError, OverflowError)
_GO_ON: Final = frozenset({Phase.START_WAITS.value, Phase.WAITS_FOR_PERSON.value})
"""Phases of an agent behind another AOS in which a person there is asked: it goes on, or may, once they have answered."""
_encode = msgspec.json.Encoder().encode


class RemoteFailed(Exception):
    """An agent elsewhere cannot be asked, is not the one that was accepted, or did not do its task; the message says why."""


class NotSent(Exception):
    """Nothing reached the agent elsewhere: it may be asked again."""


class Standing(StrEnum):
    """How a task elsewhere stands, as far as it matters here."""

    WORKING = "working"
    ALLOWED = "allowed"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an agent is asked: the address of its interface, and what `tenant` names it there."""

    endpoint: str
    tenant: str = ""
    terms: str = ""
    """What its agent was registered as when it was located: see `terms_of`."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a task elsewhere: its id there, how it stands, its output once it is done, else why it failed."""

    task_id: str
    standing: Standing
    output: Json = None
    reason: str = ""
    is_open: bool = False
    """Whether the far side holds it open though it failed for us."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One attempt of a task on its way out."""

    message_id: str
    run_id: UUID
    task_id: UUID
    goal: str
    input: Json
    budget_left: Money | None = None
    deadline: datetime | None = None

    @property
    def trace(self) -> str:
        """Return the trace that it belongs to: the run's, as its task (W3C Trace Context)."""
        return f"00-{self.run_id.hex}-{self.task_id.hex[16:]}-01"


class RemoteAgents:
    """Speaks to agents elsewhere."""

    def __init__(self, drivers: Drivers) -> None:
        self._drivers = drivers
        self.exchange_seconds = EXCHANGE_SECONDS

    async def locate(self, agent: Agent, facts: OrganizationFacts) -> Place:
        """Return where an agent is asked, by its card; raise RemoteFailed where the card is not the one accepted, NotSent."""
        assert agent.runtime is not None
        options = agent.runtime.options
        url = str(options["url"]).rstrip("/")
        status, body = await self._read(url + AGENT_CARD_WELL_KNOWN_PATH, facts, headers=self._headers(agent, facts))
        if status != 200:
            raise RemoteFailed(f"the card of `{agent.name}` cannot be read: `{url}` answered {status}")
        card = _json(body, "the card")
        place = check_card(card, url, pinned=str(options.get("card", "")))
        assert isinstance(card, dict)
        await self._check_signatures(agent, facts, card)
        return replace(place, terms=terms_of(agent))

    async def _check_signatures(self, agent: Agent, facts: OrganizationFacts, card: Mapping[str, Json]) -> None:
        """Raise RemoteFailed for a card that the keys do not stand for which it must be signed by, or says that it is."""
        assert agent.runtime is not None
        options = agent.runtime.options
        required = str(options.get("keys", ""))
        where = required or ("" if options.get("card") else keys_named_by(card, str(options["url"])))
        if not where:
            return
        if self._drivers.cards is None:
            raise NotSent("this process checks no signatures of cards")
        status, body = await self._read(where, facts)
        keys = keys_in(_json(body, "its set of keys")) if status == 200 else []
        if (keys or required) and not self._drivers.cards.is_signed_by(card, keys):
            raise RemoteFailed(f"its card is not signed by any of the {len(keys)} keys at `{where[:200]}`")

    async def _read(
        self, url: str, facts: OrganizationFacts, *, headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> tuple[int, bytes]:
        """Return the status and body of what stands at `url`; raise NotSent: no task was sent, and it may be read again."""
        request = UpstreamRequest(
            url,
            headers,
            b"",
            facts.hosts,
            connect_seconds=CONNECT_SECONDS,
            first_byte_seconds=ANSWER_SECONDS,
            idle_seconds=ANSWER_SECONDS,
            method="GET",
        )
        try:
            return await self._within(request, at_most=CARD_BYTES_MAX)
        except UpstreamFailed as error:
            raise NotSent(error.detail) from error

    async def send(self, agent: Agent, facts: OrganizationFacts, place: Place, *, outgoing: Outgoing) -> Seen:
        """Send a task and return what is seen of it at once; raise RemoteFailed, NotSent, UpstreamFailed."""
        parts = [Part(text=outgoing.goal)] if outgoing.goal else []
        if outgoing.input is not None and outgoing.input != {"text": outgoing.goal}:
            parts.append(part_of(outgoing.input))
        message = Message(message_id=outgoing.message_id, role=Role.ROLE_USER, parts=parts or [Part(text=agent.name)])
        request = SendMessageRequest(
            tenant=place.tenant,
            message=message,
            configuration=SendMessageConfiguration(
                return_immediately=True, accepted_output_modes=["text/plain", "application/json"]
            ),
        )
        request.metadata.update(_metadata(outgoing))
        result = await self._call(agent, facts, place, "SendMessage", request, trace=outgoing.trace)
        return _sent(_read(result, SendMessageResponse()))

    async def go_on(
        self, agent: Agent, facts: OrganizationFacts, place: Place, *, outgoing: Outgoing, task_id: str
    ) -> Seen:
        """Tell a task elsewhere to begin that a person there allowed meanwhile."""
        message = Message(
            message_id=f"{outgoing.message_id}-allowed",
            task_id=task_id,
            role=Role.ROLE_USER,
            parts=[Part(text="go on")],
        )
        configuration = SendMessageConfiguration(return_immediately=True)
        request = SendMessageRequest(tenant=place.tenant, message=message, configuration=configuration)
        result = await self._call(agent, facts, place, "SendMessage", request, trace=outgoing.trace)
        return _sent(_read(result, SendMessageResponse()))

    async def look(self, agent: Agent, facts: OrganizationFacts, place: Place, *, task_id: str) -> Seen:
        """Return how a task elsewhere stands; raise as `send` does."""
        request = GetTaskRequest(tenant=place.tenant, id=task_id, history_length=0)
        seen = _seen(_read(await self._call(agent, facts, place, "GetTask", request), Task()))
        if seen.task_id != task_id:
            raise RemoteFailed(f"it was asked for task `{task_id}` and answered with `{seen.task_id[:60]}`")
        return seen

    async def cancel(self, agent: Agent, facts: OrganizationFacts, place: Place, *, task_id: str) -> None:
        """Tell the far side that nobody waits for a task any more; what it says to that is its own affair."""
        await self._call(agent, facts, place, "CancelTask", CancelTaskRequest(tenant=place.tenant, id=task_id))

    async def post(self, agent: Agent, facts: OrganizationFacts, *, outgoing: Outgoing) -> Json:
        """Send a task to an agent that takes it by one POST and return its output; raise RemoteFailed, NotSent."""
        assert agent.runtime is not None
        document = {
            "task_id": str(outgoing.task_id),
            "run_id": str(outgoing.run_id),
            "agent": agent.name,
            "goal": outgoing.goal,
            "input": outgoing.input,
            **_metadata(outgoing),
        }
        headers = (
            *self._headers(agent, facts),
            (b"Content-Type", b"application/json"),
            (b"Idempotency-Key", outgoing.message_id.encode("ascii")),
            (b"Traceparent", outgoing.trace.encode("ascii")),
        )
        url = str(agent.runtime.options["url"])
        request = UpstreamRequest(url, headers, _encode(document), facts.hosts, connect_seconds=CONNECT_SECONDS)
        status, body = await self._exchange(request, at_most=ANSWER_BYTES_MAX)
        if not 200 <= status < 300:
            raise RemoteFailed(f"it answered {status}: {body[:300].decode('utf-8', 'replace')}")
        return _json(body, "its answer") if body else None

    # --- one exchange ----------------------------------------------------------------------------------------------------

    async def _call(
        self, agent: Agent, facts: OrganizationFacts, place: Place, method: str, params: Any, *, trace: str = ""
    ) -> Json:
        """Return the result of one JSON-RPC request; raise RemoteFailed for its error.

        Where the agent is another's now, the place where its task once went is told nothing, least of all the new secret.
        """
        if place.terms != terms_of(agent):
            raise RemoteFailed(f"`{agent.name}` was given another address or card after its task was sent")
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": MessageToDict(params)}
        headers = [*self._headers(agent, facts), (b"Content-Type", b"application/json")]
        if trace:
            headers.append((b"Traceparent", trace.encode("ascii")))
        request = UpstreamRequest(
            place.endpoint,
            tuple(headers),
            _encode(body),
            facts.hosts,
            connect_seconds=CONNECT_SECONDS,
            first_byte_seconds=ANSWER_SECONDS,
            idle_seconds=ANSWER_SECONDS,
        )
        status, answered = await self._within(request, at_most=ANSWER_BYTES_MAX)
        if status in (429, 503):
            raise NotSent(f"it answered {status}")
        document = _json(answered, f"its answer to {method} ({status})")
        if not isinstance(document, dict):
            raise RemoteFailed(f"its answer to {method} is no JSON-RPC")
        error = document.get("error")
        if isinstance(error, dict):
            raise RemoteFailed(f"it refused {method}: {str(error.get('message'))[:500]} ({error.get('code')})")
        if status != 200 or "result" not in document or document.get("id") != 1:
            raise RemoteFailed(f"its answer to {method} ({status}) is no JSON-RPC")
        return document["result"]

    async def _within(self, request: UpstreamRequest, *, at_most: int) -> tuple[int, bytes]:
        """Make one exchange of A2A in a bounded time; raise as `_exchange` does."""
        try:
            async with asyncio.timeout(self.exchange_seconds):
                return await self._exchange(request, at_most=at_most)
        except TimeoutError as error:
            raise UpstreamFailed(f"its answer was not whole within {self.exchange_seconds:g} seconds") from error

    async def _exchange(self, request: UpstreamRequest, *, at_most: int) -> tuple[int, bytes]:
        """Return status and whole body of an answer; raise NotSent, or UpstreamFailed where it is not known what arrived.

        Raises RemoteFailed where the address may not be spoken to, which no waiting mends.
        """
        if not is_permitted(request.url, request.permitted):
            raise RemoteFailed(
                f"`{request.url[:200]}` is not at one of the permitted hosts: list it in `organization.hosts`"
            )
        if self._drivers.web is None:
            raise NotSent("this process reaches no agents elsewhere")
        try:
            answer = await self._drivers.web.send(request)
        except UpstreamFailed as error:
            if error.sent:
                raise
            raise NotSent(error.detail) from error
        try:
            return answer.status, _scrubbed(await answer.read(at_most=at_most), request)
        finally:
            await answer.close()

    def _headers(self, agent: Agent, facts: OrganizationFacts) -> tuple[tuple[bytes, bytes], ...]:
        assert agent.runtime is not None
        headers = [(VERSION_HEADER.encode("ascii"), PROTOCOL_VERSION_1_0.encode("ascii"))]
        secret = agent.runtime.options.get("secret")
        if secret:
            try:
                headers.append((b"Authorization", f"Bearer {facts.secret(str(secret))}".encode("ascii")))
            except AosError as error:
                raise RemoteFailed(error.detail) from error
        return tuple(headers)


def terms_of(agent: Agent) -> str:
    """Return what tells an agent at one address, under one accepted card, from what its name stood for before."""
    options = agent.runtime.options if agent.runtime is not None else {}
    believed = [options.get("url"), options.get("card", ""), *([options["keys"]] if options.get("keys") else [])]
    return hashlib.sha256(canonical_json(believed)).hexdigest()


def card_digest(card: Mapping[str, Json]) -> str:
    """Return what pins a card: the SHA-256 of its canonical JSON, its signatures left out."""
    unsigned = {name: value for name, value in card.items() if name != "signatures"}
    return "sha256:" + hashlib.sha256(canonical_json(unsigned)).hexdigest()


def check_card(card: Json, url: str, *, pinned: str) -> Place:
    """Return where a card says that its agent is asked; raise RemoteFailed where it may not be believed.

    A pinned card must be the very one. Another is believed as far as it names addresses of its own origin.
    """
    if not isinstance(card, dict):
        raise RemoteFailed("its card is no JSON object")
    digest = card_digest(card)
    if pinned and digest != pinned:
        raise RemoteFailed(
            f"its card is another than the one that was accepted: it shows `{digest}`, accepted is `{pinned}`; look at "
            f"`{url}{AGENT_CARD_WELL_KNOWN_PATH}` and set `card` anew if you accept it"
        )
    read = _read(card, AgentCard())
    spoken = [each for each in read.supported_interfaces if each.protocol_binding == TransportProtocol.JSONRPC.value]
    for each in spoken:
        if each.protocol_version.partition(".")[0] != "1":
            continue
        if not pinned and origin_of(each.url) != origin_of(url):
            raise RemoteFailed(
                f"its card sends us from `{url}` to `{each.url[:200]}`: accept that by setting `card` to `{digest}`"
            )
        return Place(each.url, each.tenant)
    versions = ", ".join(sorted({each.protocol_version or "none" for each in spoken})) or "no JSON-RPC at all"
    raise RemoteFailed(f"it does not speak A2A 1.0 over JSON-RPC, its card says: {versions[:200]}")


def _scrubbed(body: bytes, request: UpstreamRequest) -> bytes:
    """Return an answer without the secret that the request carried: what fails is told, and what is done is an output."""
    given = next((value for name, value in request.headers if name == b"Authorization"), b"")
    for each in spellings((given.removeprefix(b"Bearer ").decode("ascii"),)):
        body = body.replace(each.encode("ascii"), SCRUBBED.encode("ascii"))
    return body


def _metadata(outgoing: Outgoing) -> dict[str, Any]:
    found: dict[str, Any] = {TRACE_META: outgoing.trace}
    if outgoing.budget_left is not None:
        left = outgoing.budget_left
        found[BUDGET_META] = {"amount": format_amount(left.nanos), "currency": left.currency}
    if outgoing.deadline is not None:
        found[DEADLINE_META] = outgoing.deadline.isoformat(timespec="milliseconds")
    return found


def _json(body: bytes, what: str) -> Json:
    try:
        value: Json = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteFailed(f"{what} is no JSON") from error
    if depth(value, at_most=2 * ARGUMENTS_DEPTH_MAX) > 2 * ARGUMENTS_DEPTH_MAX:
        raise RemoteFailed(f"{what} nests deeper than {2 * ARGUMENTS_DEPTH_MAX} levels")
    return value


def _read(value: Any, into: Any) -> Any:
    try:
        return ParseDict(value, into, ignore_unknown_fields=True)
    except _MISFITS as error:
        raise RemoteFailed(f"what it answered is no {type(into).__name__}: {str(error)[:200]}") from error


def _sent(response: SendMessageResponse) -> Seen:
    """Return what is seen in the answer to a message: a task, or an answer that is all there will be."""
    if response.HasField("task"):
        return _seen(response.task)
    if response.HasField("message"):
        return Seen(response.message.task_id, Standing.DONE, output=_output(response.message.parts))
    raise RemoteFailed("it answered with neither a task nor a message")


def _seen(task: Task) -> Seen:
    if not task.id:
        raise RemoteFailed("it answered with a task without an id")
    name = WireState.Name(task.status.state) if task.status.state in WireState.values() else ""
    state = TaskState(name) if name in TaskState.__members__.values() else TaskState.WORKING
    if state is TaskState.COMPLETED:
        parts = [part for artifact in task.artifacts for part in artifact.parts] or list(task.status.message.parts)
        return Seen(task.id, Standing.DONE, output=_output(parts))
    if state not in TERMINAL and state not in INTERRUPTED:
        return Seen(task.id, Standing.WORKING)
    phase = MessageToDict(task.metadata).get(PHASE_META, "")
    if state in INTERRUPTED and phase in _GO_ON:
        return Seen(task.id, Standing.WORKING)
    if phase == Phase.START_APPROVED.value:
        return Seen(task.id, Standing.ALLOWED)
    said = " ".join(part.text for part in task.status.message.parts if part.text)
    word = state.removeprefix("TASK_STATE_").lower().replace("_", "-")
    return Seen(
        task.id, Standing.FAILED, reason=f"{word}: {said or 'it did not say why'}", is_open=state in INTERRUPTED
    )


def _output(parts: Any) -> Json:
    """Return what parts hold: the value of one, the list of several; a file as where it is."""
    values: list[Json] = []
    for part in parts:
        match part.WhichOneof("content"):
            case "text":
                values.append(part.text)
            case "data":
                values.append(MessageToDict(part.data))
            case "url":
                values.append({"url": part.url, "media_type": part.media_type, "filename": part.filename})
            case _:
                continue
    return values[0] if len(values) == 1 else values or None
