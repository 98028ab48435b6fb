"""A model's limit at its door: nobody passes it, and who waited in vain is told so in the dialect's own form."""

from __future__ import annotations

import asyncio
import json

import httpx

from tests.contract.model_upstream import Answering, Held, Line, whole
from tests.contract.model_wire import Reply
from tests.contract.model_worlds import GPT, HELLO, open_models
from tests.databases import Database

BODY = json.dumps({"model": GPT, "messages": HELLO, "max_tokens": 5}).encode()


def counting(most: list[int]) -> Answering:
    """Answer after a moment and keep how many were answered at once."""
    now = 0

    async def answer(line: Line) -> None:
        nonlocal now
        now += 1
        most.append(now)
        await asyncio.sleep(0.01)
        now -= 1
        await whole(Reply("Yes.").chat())(line)

    return answer


def test_64_callers_never_have_more_calls_at_a_models_server_than_its_limit(database: Database) -> None:
    most: list[int] = []
    with open_models(database, counting(most), models={GPT: {"concurrency": 4}}) as at:

        async def story() -> list[httpx.Response]:
            async with httpx.AsyncClient(base_url=at.door.url, timeout=60) as client:
                head = {"authorization": f"Bearer {at.key}", "content-type": "application/json"}
                asked = [client.post("/v1/chat/completions", content=BODY, headers=head) for _ in range(64)]
                return await asyncio.gather(*asked)

        assert [each.status_code for each in asyncio.run(story())] == [200] * 64
        assert len(most) == 64
        assert 1 < max(most) <= 4


def test_who_waited_in_vain_is_answered_429_and_nothing_was_sent(database: Database) -> None:
    held = Held()
    with open_models(database, whole(Reply("Yes.").chat(), held=held), models={GPT: {"concurrency": 1}}) as at:
        at.door.running.gate._rooms.turn_wait_seconds = 0.1

        async def story() -> None:
            async with httpx.AsyncClient(base_url=at.door.url, timeout=60) as client:
                head = {"authorization": f"Bearer {at.key}", "content-type": "application/json"}
                first = asyncio.create_task(client.post("/v1/chat/completions", content=BODY, headers=head))
                async with asyncio.timeout(20):
                    while not held.waiting:
                        await asyncio.sleep(0.005)
                refused = await client.post("/v1/chat/completions", content=BODY, headers=head)
                assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
                assert refused.json()["error"]["code"] == "rate_limit_exceeded"
                assert len(at.upstream.received) == 1
                held.let_go()
                assert (await first).status_code == 200

        asyncio.run(story())
        assert at.states() == [(GPT, "performed")]
