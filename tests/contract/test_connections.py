"""The connections of the one port: who is slow, oversized or too many is told so and let go, and nobody else notices."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from aos.data_plane.connections import Limits
from tests.control_peer import ControlPlane, control_plane
from tests.databases import Server, cloned
from tests.doors import Door, open_door, until
from tests.folders import new_folder
from tests.worlds import World, make_world

LIMITS = Limits(
    head_seconds=0.3,
    body_seconds=0.3,
    unread_seconds=0.3,
    linger_seconds=0.3,
    target_bytes_max=2_000,
    head_bytes_max=8_000,
    connections_max=10,
)
HEAD = b"POST /agents HTTP/1.1\r\nhost: aos\r\n"
PAUSE_SECONDS = 0.02


@pytest.fixture(scope="module")
def world(postgres_server: Server) -> Iterator[World]:
    with contextmanager(cloned)(postgres_server) as database:
        yield make_world(database)


@pytest.fixture(scope="module")
def both(world: World) -> Iterator[tuple[Door, ControlPlane]]:
    path = new_folder("edge") / "control.sock"
    with control_plane(path) as peer, open_door(world, control_plane=str(path), limits=LIMITS) as door:
        yield door, peer


@pytest.fixture
def peer(both: tuple[Door, ControlPlane]) -> ControlPlane:
    both[1].asked.clear()
    both[1].answers(200, b"{}")
    return both[1]


@pytest.fixture
def door(both: tuple[Door, ControlPlane], peer: ControlPlane) -> Iterator[Door]:
    yield both[0]
    both[0].client._transport.close()
    until(lambda: not connections(both[0]))


def connections(door: Door) -> int:
    """Return how many connections the door holds."""
    return len(door.server.server_state.connections)


def drip(connection: socket.socket, data: bytes) -> bytes:
    """Send one byte after another, slowly, for ever; return what the other side says before it ends the connection."""
    over = threading.Event()

    def send() -> None:
        try:
            for byte in data:
                connection.sendall(bytes([byte]))
                if over.wait(PAUSE_SECONDS):
                    return
        except OSError:
            pass

    dripping = threading.Thread(target=send)
    dripping.start()
    try:
        return rest(connection)
    finally:
        over.set()
        dripping.join()


def asked(connection: socket.socket) -> bytes:
    """Ask for `/a` on a connection that stays, and return the answer."""
    connection.sendall(b"GET /a HTTP/1.1\r\nhost: aos\r\n\r\n")
    answer = b""
    while not answer.endswith(b"{}"):
        piece = connection.recv(65536)
        assert piece, answer
        answer += piece
    return answer


def rest(connection: socket.socket) -> bytes:
    """Return what is said until the other side ends the connection."""
    try:
        return b"".join(iter(lambda: connection.recv(65536), b""))
    except ConnectionResetError:
        return b"reset"


def problem(answer: bytes) -> dict[str, Any]:
    """Return the problem that an answer brought, which ends its connection."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert b"content-type: application/problem+json" in lines
    assert b"connection: close" in lines
    assert f"content-length: {len(body)}".encode() in lines
    found: dict[str, Any] = json.loads(body)
    assert head.startswith(b"HTTP/1.1 %d " % found["status"])
    return found


@pytest.mark.parametrize("sent", [b"GET /" + b"a" * 500, HEAD + b"x-slow: " + b"a" * 500], ids=["target", "headers"])
def test_a_head_that_drips_in_is_408(door: Door, peer: ControlPlane, sent: bytes) -> None:
    with door.connect() as connection:
        found = problem(drip(connection, sent))
    assert (found["status"], found["type"]) == (408, "urn:aos:problem:request-too-slow")
    assert peer.asked == []


@pytest.mark.parametrize("how", [b"content-length: 500\r\n\r\n", b"transfer-encoding: chunked\r\n\r\n1f4\r\n"])
def test_a_body_that_drips_in_is_408_and_is_not_passed_on(door: Door, peer: ControlPlane, how: bytes) -> None:
    with door.connect() as connection:
        connection.sendall(HEAD + how)
        found = problem(drip(connection, b"a" * 500))
    assert (found["status"], found["type"]) == (408, "urn:aos:problem:request-too-slow")
    assert "body" in found["detail"]
    assert found["instance"] == "/agents"
    assert peer.asked == []


@pytest.mark.parametrize("sent", [b"", b"\r\n"])
def test_who_says_nothing_is_let_go_without_a_word(door: Door, sent: bytes) -> None:
    with door.connect() as connection:
        connection.sendall(sent)
        assert rest(connection) == b""


def test_empty_lines_between_requests_keep_no_connection(door: Door) -> None:
    with door.connect() as connection:
        connection.sendall(b"GET /a HTTP/1.1\r\nhost: aos\r\n\r\n")
        answer = drip(connection, b"\r\n" * 500)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.count(b"HTTP/1.1") == 1


def test_who_waits_for_an_answer_is_not_late(door: Door, peer: ControlPlane) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def handle(request: BaseHTTPRequestHandler) -> None:
        asked.set()
        go_on.wait(10)
        request.send_response(200)
        request.send_header("Content-Length", "2")
        request.end_headers()
        request.wfile.write(b"{}")

    peer.handle = handle
    with door.connect() as connection:
        connection.sendall(b"GET /a HTTP/1.1\r\nhost: aos\r\n\r\n\r\nGET /b")
        assert asked.wait(10)
        go_on.wait(3 * LIMITS.head_seconds)
        go_on.set()
        answer = rest(connection)
    first, second = answer.split(b"{}", 1)
    assert first.startswith(b"HTTP/1.1 200")
    assert problem(second)["status"] == 408


def test_an_idle_connection_outlives_the_time_of_a_head(door: Door) -> None:
    with door.connect() as connection:
        assert asked(connection).startswith(b"HTTP/1.1 200")
        connection.settimeout(2 * LIMITS.head_seconds)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(10)
        connection.sendall(b"GET /a HTTP/1.1\r\nhost: aos\r\nconnection: close\r\n\r\n")
        assert rest(connection).startswith(b"HTTP/1.1 200")


def long_target(size: int) -> bytes:
    return b"GET /" + b"a" * (size - 1) + b" HTTP/1.1\r\nhost: aos\r\nconnection: close\r\n\r\n"


def many_headers(size: int) -> bytes:
    lines = (b"x-a: " + b"a" * 93 + b"\r\n") * ((size - 100) // 100)
    return b"GET /a HTTP/1.1\r\nhost: aos\r\nconnection: close\r\n" + lines + b"\r\n"


def one_header(size: int) -> bytes:
    return b"GET /a HTTP/1.1\r\nhost: aos\r\nconnection: close\r\nx-a: " + b"a" * (size - 100) + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "limit", "status"),
    [(long_target, LIMITS.target_bytes_max, 414), (many_headers, LIMITS.head_bytes_max, 431),
     (one_header, LIMITS.head_bytes_max, 431)],
)  # fmt: skip
@pytest.mark.parametrize("pieces", [1, 50])
def test_a_head_is_bounded_however_it_arrives(
    door: Door, peer: ControlPlane, sent: Callable[[int], bytes], limit: int, status: int, pieces: int
) -> None:
    def answer(whole: bytes) -> bytes:
        size = -(-len(whole) // pieces)
        with door.connect() as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for start in range(0, len(whole), size):
                connection.sendall(whole[start : start + size])
            return rest(connection)

    assert answer(sent(limit)).startswith(b"HTTP/1.1 200")
    assert problem(answer(sent(limit + 200)))["status"] == status
    assert len(peer.asked) == 1


def test_a_head_without_end_is_cut_while_it_comes(door: Door, peer: ControlPlane) -> None:
    with door.connect() as connection:
        connection.sendall(HEAD + b"x-a: " + b"a" * LIMITS.head_bytes_max)
        assert problem(rest(connection))["status"] == 431
    assert peer.asked == []


@pytest.mark.parametrize("what", [b"x-a: " + b"a" * 600_000, b"a: b\r\n" * 100_000], ids=["one", "many"])
def test_what_follows_a_body_is_bounded_as_well(door: Door, peer: ControlPlane, what: bytes) -> None:
    with door.connect() as connection:
        connection.sendall(HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n")
        connection.sendall(b"0\r\n")
        connection.sendall(what)
        assert problem(rest(connection))["status"] == 431
    assert peer.asked == []


def test_what_follows_a_body_is_no_header_of_the_request(door: Door, peer: ControlPlane) -> None:
    lines = b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nauthorization: Bearer x\r\n\r\n"
    assert door.raw(HEAD + lines).startswith(b"HTTP/1.1 200")
    assert "authorization" not in {name.lower() for name, _ in peer.asked[0][2]}


def test_a_large_body_in_small_pieces_is_no_head(door: Door, peer: ControlPlane) -> None:
    body = b"1\r\na\r\n" * 20_000 + b"0\r\n\r\n"
    answer = door.raw(HEAD + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n" + body)
    assert answer.startswith(b"HTTP/1.1 200")
    assert peer.asked[0][3] == b"a" * 20_000


def test_what_is_no_http_is_a_problem_too(door: Door) -> None:
    assert problem(door.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"))["status"] == 400


def test_a_connection_too_many_is_503_and_the_others_are_served(door: Door) -> None:
    with ExitStack() as stack:
        held = [stack.enter_context(door.connect()) for _ in range(LIMITS.connections_max)]
        for each in held:
            assert asked(each).startswith(b"HTTP/1.1 200")
        with door.connect() as one_more:
            one_more.sendall(b"GET /a HTTP/1.1\r\nhost: aos\r\n\r\n")
            answer = rest(one_more)
        assert b"retry-after: 1\r\n" in answer
        assert problem(answer)["type"] == "urn:aos:problem:unavailable"
        for each in held:
            assert asked(each).startswith(b"HTTP/1.1 200")
    until(lambda: not connections(door))
    assert door.raw(b"GET /a HTTP/1.1\r\nhost: aos\r\nconnection: close\r\n\r\n").startswith(b"HTTP/1.1 200")


def test_a_flood_of_connections_is_held_at_a_bound(door: Door) -> None:
    with ExitStack() as stack:
        flood = [stack.enter_context(door.connect()) for _ in range(4 * LIMITS.connections_max)]
        until(lambda: connections(door) >= LIMITS.connections_max)
        ended = [rest(each) for each in flood[LIMITS.connections_max :]]
        assert sum(b"503" in each for each in ended) <= LIMITS.connections_max // 4 + 1
        assert connections(door) <= LIMITS.connections_max + LIMITS.connections_max // 4 + 1


def test_who_never_reads_its_answer_is_cut(door: Door, peer: ControlPlane) -> None:
    peer.answers(200, b"a" * 20_000_000)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.connect(("127.0.0.1", door.port))
        connection.sendall(b"GET /a HTTP/1.1\r\nhost: aos\r\n\r\n")
        until(lambda: connections(door) == 1)
        until(lambda: connections(door) == 0)


def test_who_reads_slowly_gets_everything(door: Door, peer: ControlPlane) -> None:
    peer.answers(200, b"a" * 8_000_000)
    pause = threading.Event()
    with door.connect() as connection:
        connection.sendall(b"GET /a HTTP/1.1\r\nhost: aos\r\nconnection: close\r\n\r\n")
        got = 0
        while piece := connection.recv(100_000):
            got += len(piece)
            pause.wait(0.01)
    assert got > 8_000_000
