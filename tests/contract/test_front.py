"""The front of the one port: what the control plane says arrives as it was said, and whoever waits is told in time."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.control_peer import ControlPlane, control_plane
from tests.databases import Server, cloned
from tests.doors import Door, open_door
from tests.folders import new_folder
from tests.worlds import make_world

BIG = os.urandom(3_000_000)


@dataclass
class Front:
    """A data plane with its control plane."""

    door: Door
    peer: ControlPlane
    socket: Path


@pytest.fixture(scope="module")
def both(postgres_server: Server) -> Iterator[Front]:
    path = new_folder("front") / "control.sock"
    with (
        contextmanager(cloned)(postgres_server) as database,
        control_plane(path) as peer,
        open_door(make_world(database), control_plane=str(path)) as door,
    ):
        yield Front(door, peer, path)


@pytest.fixture
def front(both: Front) -> Front:
    both.peer.asked.clear()
    both.door.client.cookies.clear()
    both.peer.answers(200, b"{}")
    return both


@pytest.mark.parametrize(
    "target",
    ["/agents?name=a&name=b&name=", "/a?q=%20%2B+%26%3D%23", "/a%2Fb/c%20d", "/a/../b/./c", "/a//b/", "/a?", "/a?x",
     "/a?x=1;y=2", "/a?%E2%82%AC=%ff", "/%41%2e", "/a?next=/runs?wait", "/a?q=" + "x" * 8_000],
)  # fmt: skip
def test_path_and_query_arrive_as_they_were_spelled(front: Front, target: str) -> None:
    answer = front.door.raw(f"GET {target} HTTP/1.1\r\nhost: aos\r\nconnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 200")
    assert [path for _, path, _, _ in front.peer.asked] == [target.removesuffix("?")]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_method_headers_and_body_arrive(front: Front, method: str) -> None:
    headers = [("X-One", "1"), ("X-One", "2"), ("Cookie", "a=1; b=2"), ("Accept-Encoding", "identity")]
    body = b"" if method in ("GET", "OPTIONS") else b'{"a": 1}'
    front.door.client.request(method, "/agents", content=body, headers=[*headers, ("Content-Type", "text/x")])
    (asked, _, got, sent) = front.peer.asked[0]
    assert (asked, sent) == (method, body)
    assert [value for name, value in got if name.lower() == "x-one"] == ["1", "2"]
    found = {name.lower(): value for name, value in got}
    assert found["cookie"] == "a=1; b=2"
    assert found["accept-encoding"] == "identity"
    assert found["content-type"] == "text/x"
    assert found["host"] == f"127.0.0.1:{front.door.port}"
    assert found["x-forwarded-for"] == "127.0.0.1"


def test_what_is_for_one_hop_and_what_a_client_forges_goes_no_further(front: Front) -> None:
    lines = [
        "POST /agents HTTP/1.1", "host: aos", "connection: close, x-mine", "x-mine: 1", "te: trailers",
        "x-forwarded-for: 10.0.0.1", "expect: 100-continue", "content-length: 2",
    ]  # fmt: skip
    answer = front.door.raw("\r\n".join([*lines, "", "{}"]).encode())
    assert b"HTTP/1.1 200" in answer
    names = {name.lower() for name, _ in front.peer.asked[0][2]}
    assert not names & {"x-mine", "te", "expect"}
    assert [v for name, v in front.peer.asked[0][2] if name.lower() == "x-forwarded-for"] == ["127.0.0.1"]
    assert not names & {"accept", "accept-encoding", "user-agent", "content-type"}, "nothing is added"


def test_status_headers_and_every_cookie_come_back(front: Front) -> None:
    cookies = ["session=1; HttpOnly", "csrf=2; Path=/", "x=caf\u00e9"]
    front.peer.answers(
        418, b"tea", *(("Set-Cookie", each) for each in cookies), ("ETag", '"7"'), ("Content-Type", "a/b")
    )
    answer = front.door.client.get("/console/")
    assert (answer.status_code, answer.content) == (418, b"tea")
    assert [value for name, value in answer.headers.raw if name == b"set-cookie"] == [
        each.encode("latin-1") for each in cookies
    ]
    assert (answer.headers["etag"], answer.headers["content-type"]) == ('"7"', "a/b")


def test_a_redirect_is_the_clients_to_follow(front: Front) -> None:
    front.peer.answers(302, b"", ("Location", "/console/sign-in?next=%2F"))
    answer = front.door.client.get("/console/", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (302, "/console/sign-in?next=%2F")


def test_head_has_the_headers_and_no_body(front: Front) -> None:
    front.peer.answers(200, b"x" * 1_000, ("ETag", '"7"'))
    answer = front.door.raw(b"HEAD /a HTTP/1.1\r\nhost: aos\r\nconnection: close\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert body == b""
    assert b"content-length: 1000" in head.lower()


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("query", ["", "?wait=1"])
def test_an_answer_without_a_body_has_none(front: Front, status: int, query: str) -> None:
    front.peer.answers(status, b"", ("ETag", '"7"'), length=False)
    answer = front.door.raw(f"GET /runs/1{query} HTTP/1.1\r\nhost: aos\r\nconnection: close\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert (head[9:12], body) == (str(status).encode(), b"")
    assert b"transfer-encoding" not in head.lower()
    assert b'etag: "7"' in head.lower()


def test_big_bodies_pass_in_both_directions_byte_for_byte(front: Front) -> None:
    front.peer.answers(200, BIG, ("Content-Encoding", "identity"))
    answer = front.door.client.post("/agents", content=BIG[:900_000])
    assert front.peer.asked[0][3] == BIG[:900_000]
    assert answer.content == BIG
    refused = front.door.client.post("/agents", content=BIG)
    assert (refused.status_code, refused.json()["type"]) == (413, "urn:aos:problem:too-large")
    assert len(front.peer.asked) == 1


def test_a_download_arrives_piece_by_piece_and_ends_when_the_client_goes(front: Front) -> None:
    sent, ended = threading.Event(), threading.Event()

    def handle(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(10**12))
        request.end_headers()
        request.wfile.write(b"first")
        sent.wait(20)
        try:
            while True:
                request.wfile.write(b"x" * 65_536)
        except OSError:
            request.close_connection = True
            ended.set()

    front.peer.handle = handle
    with front.door.client.stream("GET", "/audit/export") as answer:
        assert next(answer.iter_raw()) == b"first"
        sent.set()
    assert ended.wait(20)


def test_an_answer_cut_short_is_not_passed_for_whole(front: Front) -> None:
    def handle(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "100")
        request.end_headers()
        request.wfile.write(b"half")
        request.close_connection = True

    front.peer.handle = handle
    answer = front.door.raw(b"GET /a HTTP/1.1\r\nhost: aos\r\nconnection: close\r\n\r\n")
    assert b"content-length: 100" in answer.lower()
    assert answer.endswith(b"half")


def test_a_control_plane_that_hangs_up_is_503(front: Front) -> None:
    def handle(request: BaseHTTPRequestHandler) -> None:
        request.close_connection = True

    front.peer.handle = handle
    answer = front.door.client.post("/agents", content=b"{}")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:aos:problem:unavailable")


def test_a_control_plane_that_is_away_is_503_and_served_again_when_it_is_back(front: Front, tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with open_door(front.door.world, control_plane=str(path)) as door:
        away = door.client.get("/agents")
        with control_plane(path) as peer:
            peer.answers(200, b"{}", ("Connection", "close"))
            assert door.client.get("/agents").status_code == 200
        again = door.client.get("/agents?wait=1")
    for answer in (away, again):
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert answer.headers["retry-after"] == "1"
        assert "control plane" in answer.json()["detail"]
