"""The sessions of one process with MCP servers: the implementation of `McpUpstream`.

- One session for each organization and server, begun by its first call and begun anew when its registration or a secret of
  it changes; at most `MCP_SERVERS_MAX`. When all are taken, one that rests gives way: of the organization that has most, the
  one that rested longest.
- An organization has no more at work than are not at work at all: one that takes many leaves as many for the others.
- A server that failed is left alone for a while that doubles; whoever calls meanwhile is told so at once, and nothing is sent.
- Before a call the tool's pin is compared with what the server offers: never older than `offers_seconds`, never asked for
  each call, and asked once more before a call is held.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Final
from uuid import UUID

from mcp.client._transport import TransportStreams

from aos.drivers.mcp_client.answers import unsent
from aos.drivers.mcp_client.http import address
from aos.drivers.mcp_client.session import McpSession, SessionGone
from aos.drivers.mcp_client.stdio import program
from aos.drivers.mcp_client.values import McpConfig, Wire
from aos.kernel.errors import SchemaChanged, Unavailable
from aos.kernel.json import Json
from aos.kernel.limits import MCP_SERVERS_MAX
from aos.kernel.mcp_servers import McpTarget, Offer, held, remote_name
from aos.kernel.ports import Hears, ModelTransport, ToolOutcome
from aos.kernel.tools import Tool

SWEEP_SECONDS: Final = 15.0
HELD_SECONDS: Final = 1.0
"""How old an answer a call may be held by: a person may just have accepted what the server offers now."""
PATIENCE_SECONDS: Final = 1.0
"""How long a call itself waits until a server that failed is tried again."""
SOUND_SECONDS: Final = 10.0
"""A session that lived so long and then broke is no failure to begin one."""


class _Place:
    """Where the session with one server is, and what is known of the server."""

    def __init__(self, target: McpTarget) -> None:
        self.target = target
        self.session: McpSession | None = None
        self.lock = asyncio.Lock()
        self.slots = asyncio.Semaphore(target.concurrency)
        self.users = 0
        self.failures = 0
        self.retry_at = 0.0
        self.used_at = 0.0
        self.why = ""


class McpPool:
    """Implements `McpUpstream`; an object belongs to the event loop of its first call, and to that loop's thread."""

    def __init__(self, config: McpConfig, transport: ModelTransport) -> None:
        self._config = config
        self._transport = transport
        self._places: dict[tuple[UUID, str], _Place] = {}
        self._replaced: set[_Place] = set()
        """Places that are used yet though another has their name."""
        self._sweeping: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    async def offers(self, target: McpTarget, *, deadline_seconds: float) -> Sequence[Offer]:
        """Return what the server offers now; see `McpUpstream`."""
        async with _within(deadline_seconds, target), self._at(target) as place:
            try:
                found = await (await self._session(place)).offers(newer_than_seconds=0)
            except SessionGone:
                found = await (await self._session(place)).offers(newer_than_seconds=0)
            return [found[name] for name in sorted(found)]

    async def call(
        self,
        target: McpTarget,
        tool: Tool,
        arguments: Mapping[str, Json],
        *,
        idempotency_key: str,
        deadline_seconds: float,
        hears: Hears | None = None,
    ) -> ToolOutcome:
        """Call a tool if its server still offers what was accepted; see `McpUpstream`."""
        until = asyncio.get_running_loop().time() + deadline_seconds
        if full := self._full(target):
            return unsent(full, Unavailable.slug)
        try:
            async with self._at(target) as place:
                async with _within(deadline_seconds, target):
                    await place.slots.acquire()
                try:
                    key = idempotency_key
                    return await self._call(place, tool, arguments, idempotency_key=key, until=until, hears=hears)
                finally:
                    place.slots.release()
        except Unavailable as error:
            return unsent(error.detail)

    async def _call(
        self,
        place: _Place,
        tool: Tool,
        arguments: Mapping[str, Json],
        *,
        idempotency_key: str,
        until: float,
        hears: Hears | None,
    ) -> ToolOutcome:
        """Call a tool on a session, on another one where the server no longer knows it; raise Unavailable where unsent."""
        clock = asyncio.get_running_loop().time
        for _ in range(2):
            try:
                async with _within(until - clock(), place.target):
                    session = await self._session(place)
                    why = await self._held(session, tool)
                if why:
                    return ToolOutcome(ok=False, error=why, sent=False, frees_key=True, code=SchemaChanged.slug)
                return await session.call(
                    remote_name(tool),
                    arguments,
                    idempotency_key=idempotency_key,
                    deadline_seconds=max(0.001, until - clock()),
                    hears=hears,
                )
            except SessionGone:
                continue
        raise Unavailable(f"`{place.target.name}` ends every session that is begun with it")

    async def close(self) -> None:
        """End every session and every program that was started."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
        for place in self._places.values():
            self._end(place)
        self._places.clear()
        await asyncio.gather(*self._ending, return_exceptions=True)

    async def _held(self, session: McpSession, tool: Tool) -> str:
        """Return why a call is held, empty where it is not."""
        found = await session.offers(newer_than_seconds=self._config.offers_seconds)
        if not held(tool, found.get(remote_name(tool))):
            return ""
        found = await session.offers(newer_than_seconds=HELD_SECONDS)
        return held(tool, found.get(remote_name(tool)))

    @asynccontextmanager
    async def _at(self, target: McpTarget) -> AsyncIterator[_Place]:
        """Give the place of a server, of which no other takes the session away while it is used."""
        if full := self._full(target):
            raise Unavailable(full)
        key = target.organization_id, target.name
        place = self._places.get(key)
        if place is None or place.target != target:
            self._make_room(key)
            if place is not None and place.users:
                self._replaced.add(place)
            elif place is not None:
                self._end(place)
            place = self._places[key] = _Place(target)
        if self._sweeping is None:
            self._sweeping = asyncio.create_task(self._sweep(), name="mcp-sweep")
        place.users += 1
        try:
            yield place
        finally:
            place.users -= 1
            place.used_at = asyncio.get_running_loop().time()
            if self._places.get(key) is not place and not place.users:
                self._replaced.discard(place)
                self._end(place)

    def _full(self, target: McpTarget) -> str:
        """Return why a server may not be at work now beside the others, empty where it is or may."""
        organization_id = target.organization_id
        place = self._places.get((organization_id, target.name))
        if place is not None and place.target == target and place.users:
            return ""
        at_work = [place for place in self._places.values() if place.users] + list(self._replaced)
        own = sum(place.target.organization_id == organization_id for place in at_work)
        left = MCP_SERVERS_MAX - len(at_work)
        if left <= 0:
            return f"{MCP_SERVERS_MAX} MCP servers are at work in this process: try again"
        if own >= left:
            return f"{own} MCP servers of the organization are at work in this process already: try again"
        return ""

    def _make_room(self, key: tuple[UUID, str]) -> None:
        """See that there is a place for one more server: one that rests gives way."""
        if key in self._places or len(self._places) + len(self._replaced) < MCP_SERVERS_MAX:
            return
        held = Counter(organization for organization, _ in self._places)
        resting = [(-held[at[0]], place.used_at, at) for at, place in self._places.items() if not place.users]
        self._end(self._places.pop(min(resting)[2]))

    async def _session(self, place: _Place) -> McpSession:
        """Return the session with a server, begun where there is none; raise Unavailable."""
        async with place.lock:
            clock = asyncio.get_running_loop().time
            if place.session is not None and place.session.alive:
                return place.session
            if place.session is not None:
                if clock() - place.session.began_at < SOUND_SECONDS:
                    self._note_failure(place, "it ended soon after it began")
                else:
                    place.failures = 0
                self._end(place)
            wait = place.retry_at - clock()
            if wait > PATIENCE_SECONDS:
                raise Unavailable(f"{place.why}; it is tried again in {wait:.1f} s")
            if wait > 0:
                await asyncio.sleep(wait)
            session = McpSession(place.target.name, partial(self._streams, place.target))
            try:
                await session.begin()
            except Unavailable as error:
                self._note_failure(place, error.detail)
                raise
            except asyncio.CancelledError:
                place.session = session
                self._end(place)
                self._note_failure(place, f"`{place.target.name}` did not begin a session in time")
                raise
            place.session = session
            return session

    def _note_failure(self, place: _Place, why: str) -> None:
        place.failures += 1
        pause = min(self._config.backoff_seconds_max, self._config.backoff_seconds * 2 ** min(place.failures - 1, 16))
        place.retry_at = asyncio.get_running_loop().time() + pause
        place.why = why if why.startswith("`") else f"`{place.target.name}` failed: {why}"

    def _streams(self, target: McpTarget, wire: Wire) -> AbstractAsyncContextManager[TransportStreams]:
        if target.url:
            return address(target, self._transport, wire)
        return program(target, self._config, wire)

    def _end(self, place: _Place) -> None:
        """Begin to end the session of a place; one that is in use ends when its last user is done."""
        session, place.session = place.session, None
        if session is None:
            return
        task = asyncio.create_task(session.close(), name=f"mcp-close-{place.target.name}")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _sweep(self) -> None:
        """End sessions that nobody has used for a while."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            old = asyncio.get_running_loop().time() - self._config.idle_seconds
            for key, place in list(self._places.items()):
                if not place.users and place.used_at < old:
                    self._end(place)
                    if asyncio.get_running_loop().time() >= place.retry_at:
                        del self._places[key]


@asynccontextmanager
async def _within(seconds: float, target: McpTarget) -> AsyncIterator[None]:
    """Give the block so long; raise Unavailable past it."""
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            yield
    except TimeoutError as error:
        raise Unavailable(f"`{target.name}` was not ready or free within the call's time; nothing was sent") from error
