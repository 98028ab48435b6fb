"""The server-sent stream of a run: every event once and in order, to those who may read it, for as long as they listen."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from uuid import UUID

import httpx
import pytest

from aos.kernel.ledger.record import Record, RecordKind, record_time
from aos.operations.integrate import integrate_all
from aos.operations.records import record_row
from aos.operations.tokens import StreamToken, make_stream_token
from tests.databases import Database
from tests.doors import Door, claim_task, open_door, revoke, until
from tests.worlds import IDS, World, agent, make_world

HOUR_SECONDS = 3_600


@pytest.fixture
def world(database: Database) -> World:
    return make_world(database, agents=[agent("finance")])


@pytest.fixture
def door(world: World) -> Iterator[Door]:
    with open_door(world, listens=True) as opened:
        yield opened


@pytest.fixture
def run(world: World) -> UUID:
    return claim_task(world, "finance")[0]


@pytest.fixture
def token(door: Door) -> str:
    return door.personal_token("viewer")


def happen(door: Door, run: UUID, *kinds: RecordKind) -> None:
    """Record that something happened in a run, as committed transactions do, and give it its place in the log."""
    org = door.world.organization_id

    async def integrate() -> None:
        await integrate_all(door.running.database, door.running.facts, door.running.drivers)

    for position, kind in enumerate(kinds):
        finished = kind is RecordKind.RUN_FINISHED
        record = Record(
            id=IDS.new(),
            kind=kind,
            organization_id=org,
            at=record_time(door.running.facts.now()),
            run_id=run,
            status="succeeded" if finished else None,
            change=None if finished else "paused",
        )
        row = record_row(record)
        door.world.rows(
            "insert into record (organization_id, id, kind, run_id, bytes) values (%s, %s, %s, %s, %s::text::bytea)",
            org, row.id, row.kind, run, row.bytes,
        )  # fmt: skip
        door.world.rows(
            "insert into ledger_pending (organization_id, record_id, leaf, position) values (%s, %s, %s::text::bytea, %s)",
            org, row.id, row.leaf, position,
        )  # fmt: skip
    door.run(integrate())


CHANGED, FINISHED = RecordKind.RUN_CHANGED, RecordKind.RUN_FINISHED


def stream_token(door: Door, run: UUID, *, seconds: int = HOUR_SECONDS) -> str:
    """Return what a console page carries in the address of a run's stream."""
    facts = door.run(door.services.facts.of(door.world.organization_id))
    expires = int(door.running.facts.now().timestamp()) + seconds
    return make_stream_token(StreamToken(door.world.organization_id, run, expires), facts.key("token").private)


def events(text: str) -> list[tuple[int, str, dict[str, Any]]]:
    """Return the events of a whole stream, each with its id and kind."""
    found = re.findall(r"id: (\d+)\nevent: ([a-z.]+)\ndata: (.*)\n\n", text)
    assert "".join(f"id: {id}\nevent: {kind}\ndata: {data}\n\n" for id, kind, data in found) == text
    return [(int(id), kind, json.loads(data)) for id, kind, data in found]


def read(door: Door, run: UUID, token: str, **headers: str) -> httpx.Response:
    """Read a stream to its end."""
    sent = {"Authorization": f"Bearer {token}"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return door.client.get(f"/runs/{run}/events", headers=sent)


def streams(door: Door) -> int:
    """Return how many requests the door is answering."""
    tasks = asyncio.all_tasks(door.loop)
    return sum("run_asgi" in repr(task.get_coro()) for task in tasks)


def test_events_come_in_the_logs_order_and_the_stream_ends_with_the_run(door: Door, run: UUID, token: str) -> None:
    other = claim_task(door.world, "finance")[0]
    happen(door, run, CHANGED)
    happen(door, other, CHANGED, FINISHED)
    happen(door, run, CHANGED, FINISHED)
    answer = read(door, run, token)
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-store"
    found = events(answer.text)
    assert [(id, kind) for id, kind, _ in found] == [(0, "run.changed"), (3, "run.changed"), (4, "run.finished")]
    assert [data["index"] for _, _, data in found] == [0, 3, 4]
    assert found[-1][2]["status"] == "succeeded"


def test_what_happens_later_arrives_while_the_stream_is_open(door: Door, run: UUID, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    with door.client.stream("GET", f"/runs/{run}/events", headers=headers) as answer:
        pieces = answer.iter_text()
        happen(door, run, CHANGED)
        seen = next(pieces)
        happen(door, run, CHANGED, FINISHED)
        seen += "".join(pieces)
    assert [id for id, _, _ in events(seen)] == [0, 1, 2]


@pytest.mark.parametrize("how", ["header", "query"])
def test_a_stream_goes_on_after_any_event_without_loss_or_repetition(
    door: Door, run: UUID, token: str, how: str
) -> None:
    happen(door, run, *[CHANGED] * 4, FINISHED)
    whole = events(read(door, run, token).text)
    for id, _, _ in whole[:-1]:
        if how == "header":
            rest = read(door, run, token, Last_Event_ID=str(id)).text
        else:
            rest = door.client.get(f"/runs/{run}/events?after={id}", headers={"Authorization": f"Bearer {token}"}).text
        assert events(rest) == whole[id + 1 :]


def test_more_events_than_one_reading_holds_arrive_in_one_stream(
    door: Door, world: World, run: UUID, token: str
) -> None:
    happen(door, run, CHANGED)
    world.rows(
        "insert into record (organization_id, id, kind, run_id, bytes)"
        " select organization_id, uuidv7(), kind, run_id, null from record, generate_series(1, 2500)"
    )
    world.rows(
        "insert into ledger_leaf (organization_id, index, record_id, hash)"
        " select r.organization_id, row_number() over (order by r.id), r.id, sha256('') from record r where bytes is null"
    )
    world.rows("update ledger_head set size = 2501")
    world.rows("update record set kind = 'run.finished' where id = (select max(id::text)::uuid from record)")
    found = events(read(door, run, token).text)
    assert [id for id, _, _ in found] == list(range(2_501))


@pytest.mark.parametrize("last", ["-1", "x", "1.0", "\u00b2", "9" * 19, "9" * 5_000])
def test_a_place_that_is_none_is_400(door: Door, run: UUID, token: str, last: str) -> None:
    answer = door.client.get(
        f"/runs/{run}/events", params={"after": last}, headers={"Authorization": f"Bearer {token}"}
    )
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:aos:problem:invalid-request")


def test_a_run_of_another_organization_or_of_none_is_404(door: Door, database: Database, token: str) -> None:
    other = make_world(database, agents=[agent("finance")], keys=door.world.keys)
    for run in (claim_task(other, "finance")[0], IDS.new(), "no-uuid", "a%2Fb"):
        answer = door.client.get(f"/runs/{run}/events", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:aos:problem:not-found")


def test_nobody_reads_without_a_token_and_an_agent_not_at_all(door: Door, run: UUID) -> None:
    for wrong in ({}, {"Authorization": "Bearer aosp_unknown"}):
        answer = door.client.get(f"/runs/{run}/events", headers=wrong)
        assert (answer.status_code, answer.json()["type"]) == (401, "urn:aos:problem:unauthenticated")
    assert read(door, run, door.api_key("finance")).status_code == 403


def test_a_stream_token_opens_its_own_run_until_it_expires(door: Door, run: UUID) -> None:
    happen(door, run, FINISHED)
    other = claim_task(door.world, "finance")[0]

    def status(run: UUID, token: str) -> int:
        return door.client.get(f"/runs/{run}/events?stream={token}").status_code

    right = stream_token(door, run)
    forged = right[:-4] + ("AAAA" if right[-4:] != "AAAA" else "BBBB")
    assert status(run, right) == 200
    assert [status(other, right), status(run, stream_token(door, run, seconds=-1))] == [401, 401]
    assert [status(run, each) for each in (forged, "aosx_", "", right[:-1], door.personal_token("viewer"))] == [401] * 5
    assert door.client.post("/tools/x/call", headers={"Authorization": f"Bearer {right}"}, json={}).status_code == 401


def test_a_revoked_token_ends_its_open_stream(door: Door, world: World, run: UUID, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    with door.client.stream("GET", f"/runs/{run}/events", headers=headers) as answer:
        happen(door, run, CHANGED)
        pieces = answer.iter_text()
        assert events(next(pieces))
        revoke(world, "update person_token set revoked_at = aos_now()")
        happen(door, run, CHANGED)
        assert "".join(pieces) == ""
    until(lambda: not streams(door))


def test_a_client_that_is_gone_leaves_nothing_behind(door: Door, run: UUID, token: str) -> None:
    with door.client.stream("GET", f"/runs/{run}/events", headers={"Authorization": f"Bearer {token}"}):
        until(lambda: streams(door) == 1)
    until(lambda: streams(door) == 0)
    assert door.services.feeds._logs == {}


def test_two_hundred_readers_of_a_run_are_all_told(door: Door, run: UUID, token: str) -> None:
    request = (
        f"GET /runs/{run}/events HTTP/1.1\r\nhost: aos\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    )
    connections = [door.connect() for _ in range(200)]
    for connection in connections:
        connection.sendall(request.encode())
    until(lambda: streams(door) == 200)
    happen(door, run, CHANGED, FINISHED)
    for connection in connections:
        with connection:
            text = b"".join(iter(lambda: connection.recv(65536), b""))  # noqa: B023
        assert text.count(b"event: run.changed") == text.count(b"event: run.finished") == 1
    until(lambda: not streams(door))


def test_open_streams_end_whole_when_the_process_ends(world: World) -> None:
    with ExitStack() as stack:
        with open_door(world) as door:
            run = claim_task(world, "finance")[0]
            happen(door, run, CHANGED)
            head = f"host: aos\r\nauthorization: Bearer {door.personal_token('viewer')}\r\n\r\n"
            connections = [stack.enter_context(door.connect()) for _ in range(3)]
            texts = []
            for connection in connections:
                connection.sendall(f"GET /runs/{run}/events HTTP/1.1\r\n{head}".encode())
                texts.append(b"")
                while b"event: run.changed" not in texts[-1]:
                    texts[-1] += connection.recv(65536)
        for connection, text in zip(connections, texts, strict=True):
            rest = b"".join(iter(lambda: connection.recv(65536), b""))  # noqa: B023
            assert (text + rest).endswith(b"0\r\n\r\n"), "cut off and not ended"
