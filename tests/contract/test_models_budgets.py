"""A hard budget under many callers at once: never exceeded, and nobody refused while there is room."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from typing import Any

import httpx
import pytest

from aos.kernel.dialects.values import Tokens
from aos.kernel.money import Money
from tests.contract.model_upstream import Held, Line, streamed, whole
from tests.contract.model_wire import Reply
from tests.contract.model_worlds import GPT, HELLO, ModelDoor, open_models
from tests.databases import Database
from tests.doors import until
from tests.worlds import agent

CALLERS = 64
REPLY = Reply("one two three", tokens=Tokens(input=60, cached=20, output=30))
LIMIT = Money(60_000_000, "EUR")
BODY: dict[str, Any] = {"model": GPT, "messages": HELLO, "max_tokens": 100}


async def as_asked(line: Line) -> None:
    """Answer streamed or whole, as the request wants it."""
    wants = line.received.json.get("stream", False)
    await (streamed(REPLY.chat_events()) if wants else whole(REPLY.chat()))(line)


async def greedy(line: Line) -> None:
    """Use all that a request may use: every byte a token, and the whole output limit."""
    sent = line.received
    reply = Reply(tokens=Tokens(input=len(sent.body), output=sent.json["max_completion_tokens"]))
    await whole(reply.chat())(line)


def ask_until_refused(at: ModelDoor, bodies: list[dict[str, Any]]) -> Counter[int]:
    """Let one caller for each body ask again and again until refused; return how often each status came.

    What is settled only grows, so a refusal that was right stays right: no call that begins after one may succeed.
    """
    statuses: Counter[int] = Counter()
    refused = False

    async def caller(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
        nonlocal refused
        text, status = json.dumps(body).encode(), 200
        headers = {"authorization": f"Bearer {at.key}", "content-type": "application/json"}
        while status == 200:
            late = refused
            done = await client.post("/v1/chat/completions", content=text, headers=headers)
            status = done.status_code
            statuses[status] += 1
            assert not (late and status == 200), "somebody was refused while there was room"
            refused = refused or status == 402

    async def all_callers() -> None:
        limits = httpx.Limits(max_connections=len(bodies))
        async with httpx.AsyncClient(base_url=at.door.url, limits=limits, timeout=60) as client:
            await asyncio.gather(*(caller(client, body) for body in bodies))

    asyncio.run(all_callers())
    return statuses


def hold_of_one(at: ModelDoor, body: dict[str, Any]) -> int:
    """Return what one call holds while it is under way."""
    held = Held()
    at.upstream.plan(whole(REPLY.chat(), held=held))
    text = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: aos\r\nauthorization: Bearer {at.key}\r\n"
    with at.door.connect() as connection:
        connection.sendall(
            f"{head}content-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n".encode() + text
        )
        at.upstream.asked()
        hold = at.held()
        held.let_go()
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    return hold


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_64_callers_use_a_budget_up_to_the_last_call_that_fits_and_no_further(database: Database, stream: bool) -> None:
    with open_models(database, as_asked, budget=LIMIT) as at:
        bodies = [{**BODY, "stream": stream}] * CALLERS
        hold, cost = hold_of_one(at, {**BODY, "stream": False}), at.price(REPLY.tokens)
        if stream:  # the bytes of the body count, and `true` has one less than `false`
            hold -= 3_125
        at.upstream.plan(as_asked)
        statuses = ask_until_refused(at, bodies)
        fit = (LIMIT.nanos - hold) // cost + 1
        assert statuses == {200: fit - 1, 402: CALLERS}  # the first call was made alone
        assert (at.settled(), at.held()) == (fit * cost, 0)
        assert at.settled() <= LIMIT.nanos
        assert Counter(state for _, state in at.states()) == {"performed": fit, "refused": CALLERS}
        assert len(at.upstream.received) == fit
        assert at.cost_nanos() == fit * cost


def test_64_callers_without_a_limit_of_their_own_never_exceed_a_budget(database: Database) -> None:
    with open_models(database, greedy, budget=LIMIT) as at:
        body = {name: value for name, value in BODY.items() if name != "max_tokens"}
        statuses = ask_until_refused(at, [{**body, "seed": 100 + number} for number in range(CALLERS)])
        assert statuses[402] == CALLERS
        assert statuses[200] >= 1
        assert set(statuses) == {200, 402}
        assert at.settled() <= LIMIT.nanos
        # What is left pays for no answer of 16 tokens any more.
        assert LIMIT.nanos - at.settled() < 16 * 10_000 + 300 * 3_125
        assert at.held() == 0
        assert at.cost_nanos() == at.settled()


def test_who_lacks_only_what_others_hold_waits_for_it_until_it_is_spent(database: Database) -> None:
    with open_models(database, as_asked, budget=LIMIT, agents=[agent("guest")]) as at:
        hold, cost = hold_of_one(at, BODY), at.price(REPLY.tokens)
        # After this, room for one call besides the one under way only once that one has given back what it does not use.
        at.world.rows("update budget set limit_nanos = %s", at.settled() + hold + cost)
        at.world.rows("update organization set epoch = epoch + 1")
        held = Held()
        at.upstream.plan(whole(REPLY.chat(), held=held))
        statuses: list[int] = []
        callers = [threading.Thread(target=lambda: statuses.append(at.chat().status_code)) for _ in range(3)]
        for caller in callers:
            caller.start()
        until(lambda: held.waiting == 1 and waiting(at) == 2)
        guest = at.door.api_key("guest")
        for _ in range(5):  # each of these is recorded by a flush that those who wait could have been refused in
            assert at.chat(key=guest).status_code == 403
        assert (statuses, at.held()) == ([], hold)
        held.let_go()
        for caller in callers:
            caller.join()
        assert sorted(statuses) == [200, 200, 402]
        assert at.held() == 0
        assert [state for _, state in at.states()].count("refused") == 6


def waiting(at: ModelDoor) -> int:
    """Return how many calls stand in line for a budget; nothing else shows it, for who waits has written nothing."""
    return sum(line.waiting for line in at.door.running.gate._rooms._lines.values())
