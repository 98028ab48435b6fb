"""`?wait=` and `Prefer: wait=`: whoever waits is answered when the bell rings, and in time where it does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.control_peer import ControlPlane, control_plane
from tests.databases import Server, cloned
from tests.doors import Door, open_door, until
from tests.folders import new_folder
from tests.worlds import IDS, make_world

KINDS = [
    ("aos_approval", "approvals", "status", "pending", "approved"),
    ("aos_run", "runs", "state", "running", "succeeded"),
]


@dataclass
class Waiting:
    """A data plane with its control plane, and a thread to wait in."""

    door: Door
    peer: ControlPlane
    threads: ThreadPoolExecutor

    def listens(self, channel: str, id: str) -> bool:
        """Say whether somebody waits for this bell."""
        return (channel, id) in self.door.services.bell._waiters

    def answered(self, id: str) -> int:
        """Return how many times the control plane has answered what was asked of this id."""
        return sum(id in path for path in self.peer.answered)

    def ring(self, channel: str, id: str) -> None:
        """Ring as a committing transaction does."""
        self.door.world.rows("select pg_notify(%s, %s)", channel, id)


@pytest.fixture(scope="module")
def both(postgres_server: Server) -> Iterator[Waiting]:
    path = new_folder("front") / "control.sock"
    with (
        contextmanager(cloned)(postgres_server) as database,
        control_plane(path) as peer,
        open_door(make_world(database), control_plane=str(path), listens=True) as door,
        ThreadPoolExecutor() as threads,
    ):
        yield Waiting(door, peer, threads)


@pytest.fixture
def waiting(both: Waiting) -> Waiting:
    both.peer.asked.clear()
    return both


@pytest.mark.parametrize(("channel", "path", "field", "open", "settled"), KINDS)
def test_the_bell_ends_the_wait(waiting: Waiting, channel: str, path: str, field: str, open: str, settled: str) -> None:
    shown: dict[str, Any] = {"id": str(IDS.new()), field: open}
    waiting.peer.shows(shown)
    asked = waiting.threads.submit(waiting.door.client.get, f"/{path}/{shown['id']}?a=1&wait=60&a=2")
    until(lambda: waiting.listens(channel, shown["id"]) and waiting.answered(shown["id"]) == 2)
    assert not asked.done()
    shown[field] = settled
    waiting.ring(channel, shown["id"])
    answer = asked.result(20)
    assert (answer.status_code, answer.json()) == (200, shown)
    assert [each[1] for each in waiting.peer.asked] == [f"/{path}/{shown['id']}?a=1&a=2"] + [
        f"/{path}/{shown['id']}"
    ] * 2
    until(lambda: not waiting.listens(channel, shown["id"]))


def test_a_run_that_is_started_and_waited_for_is_answered_with_its_end(waiting: Waiting) -> None:
    shown: dict[str, Any] = {"id": str(IDS.new()), "state": "running"}
    waiting.peer.shows(shown, created=201)
    headers = {"Prefer": "wait=60, respond-async", "Idempotency-Key": "k"}
    asked = waiting.threads.submit(waiting.door.client.post, "/runs", content=b"{}", headers=headers)
    until(lambda: waiting.listens("aos_run", shown["id"]))
    shown["state"] = "succeeded"
    waiting.ring("aos_run", shown["id"])
    answer = asked.result(20)
    assert (answer.status_code, answer.json()) == (201, shown)
    assert answer.headers["location"] == f"/runs/{shown['id']}"
    first, *again = waiting.peer.asked
    assert first[:2] == ("POST", "/runs")
    assert dict(first[2])["prefer"] == "respond-async"
    assert {each[:2] for each in again} == {("GET", f"/runs/{shown['id']}")}
    assert all("idempotency-key" not in dict(each[2]) for each in again)


def test_a_bell_that_is_lost_costs_a_sweep_and_no_more(waiting: Waiting, tmp_path: Path) -> None:
    shown: dict[str, Any] = {"id": str(IDS.new()), "state": "running"}
    with (
        control_plane(tmp_path / "control.sock") as peer,
        open_door(waiting.door.world, control_plane=str(tmp_path / "control.sock"), sweep_seconds=0.05) as door,
    ):
        peer.shows(shown)
        asked = waiting.threads.submit(door.client.get, f"/runs/{shown['id']}?wait=60")
        until(lambda: len(peer.asked) > 3)
        shown["state"] = "failed"
        assert asked.result(20).json() == shown


def test_at_the_deadline_it_is_answered_as_it_stands(waiting: Waiting) -> None:
    shown = {"id": str(IDS.new()), "state": "running"}
    waiting.peer.shows(shown)
    answer = waiting.door.client.get(f"/runs/{shown['id']}?wait=1")
    assert (answer.status_code, answer.json()) == (200, shown)
    assert not waiting.listens("aos_run", shown["id"])


@pytest.mark.parametrize(
    ("path", "shown"),
    [("/runs/1", {"id": "1", "state": "succeeded"}), ("/runs", {"items": []}), ("/agents/1", {"id": "1", "status": "running"}),
     ("/runs/1", {"id": 1, "state": "running"}), ("/runs/1", {"id": "1"})],
)  # fmt: skip
def test_what_is_settled_or_cannot_settle_is_answered_at_once(
    waiting: Waiting, path: str, shown: dict[str, Any]
) -> None:
    waiting.peer.shows(shown)
    answer = waiting.door.client.get(f"{path}?wait=60")
    assert answer.content == json.dumps(shown).encode()
    assert len(waiting.peer.asked) == 1


@pytest.mark.parametrize("wait", ["", "-1", "1.5", "soon", "%C2%B2", "1e3"])
def test_a_wait_that_is_no_number_of_seconds_is_400(waiting: Waiting, wait: str) -> None:
    answer = waiting.door.client.get(f"/runs/1?wait={wait}")
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:aos:problem:invalid-request")
    assert waiting.peer.asked == []


def test_a_client_that_goes_away_is_waited_for_no_longer(waiting: Waiting) -> None:
    shown = {"id": str(IDS.new()), "state": "running"}
    waiting.peer.shows(shown)
    with waiting.door.connect() as connection:
        connection.sendall(f"GET /runs/{shown['id']}?wait=60 HTTP/1.1\r\nhost: aos\r\n\r\n".encode())
        until(lambda: waiting.listens("aos_run", shown["id"]))
    until(lambda: not waiting.listens("aos_run", shown["id"]))


def test_who_waits_while_the_process_ends_is_answered_with_what_stands(postgres_server: Server) -> None:
    shown = {"id": str(IDS.new()), "state": "running"}
    path = new_folder("front") / "control.sock"
    with (
        ThreadPoolExecutor() as threads,
        contextmanager(cloned)(postgres_server) as database,
        control_plane(path) as peer,
    ):
        peer.shows(shown)
        with open_door(make_world(database), control_plane=str(path)) as door:
            request = f"GET /runs/{shown['id']}?wait=60 HTTP/1.1\r\nhost: aos\r\n\r\n".encode()
            asked = threads.submit(door.raw, request)
            until(lambda: ("aos_run", shown["id"]) in door.services.bell._waiters)
        answer = asked.result(60)
    assert answer.startswith(b"HTTP/1.1 200")
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == shown


def test_a_pause_is_answered_when_nothing_runs_any_more(waiting: Waiting) -> None:
    shown: dict[str, Any] = {"id": str(IDS.new()), "state": "paused"}
    waiting.peer.shows(shown, created=202)
    asked = waiting.threads.submit(waiting.door.client.post, f"/runs/{shown['id']}/pause")
    until(lambda: len(waiting.peer.asked) > 2)
    assert not asked.done()
    waiting.peer.shows(shown, created=200)
    assert (asked.result(20).status_code, asked.result().json()) == (200, shown)
    assert {each[:2] for each in waiting.peer.asked} == {("POST", f"/runs/{shown['id']}/pause")}
