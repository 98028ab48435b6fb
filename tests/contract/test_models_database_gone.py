"""The model doors while Postgres is away: nothing is asked unrecorded, and what was asked is not forgotten."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from aos.drivers.embedded_postgres.server import RunningPostgres
from tests.contract.model_upstream import Held, streamed, whole
from tests.contract.model_wire import DONE, Reply
from tests.contract.model_worlds import GPT, HELLO, ModelDoor, open_models
from tests.databases import logins_of, prepared, watching
from tests.doors import until
from tests.servers import cluster

REPLY = Reply("one two three")
EVENTS = REPLY.chat_events()


@contextmanager
def own_postgres() -> Iterator[tuple[RunningPostgres, ModelDoor]]:
    """Open model doors over a Postgres that the test may stop and start."""
    with cluster() as postgres:
        server = prepared(postgres.superuser_dsn())
        database = logins_of(server, server.template)
        with open_models(database, whole(REPLY.chat()), connect_timeout_seconds=1) as at:
            yield postgres, at
            watching(at.world.test_database).close()


def stop(postgres: RunningPostgres) -> None:
    """End the server at once, as a crash would."""
    os.kill(postgres.pid, signal.SIGQUIT)
    until(lambda: not postgres.is_running())


def start(postgres: RunningPostgres, at: ModelDoor) -> None:
    """Start the server again; who watches does so over a new connection."""
    watching(at.world.test_database).close()
    postgres.restart()


def in_background(work: Any) -> tuple[threading.Thread, list[Any]]:
    """Start work in a thread; its result is put into the list."""
    done: list[Any] = []
    thread = threading.Thread(target=lambda: done.append(work()))
    thread.start()
    return thread, done


def test_what_cannot_be_recorded_is_not_asked_and_what_was_asked_is_recorded_later() -> None:
    with own_postgres() as (postgres, at):
        assert at.chat().status_code == 200
        stop(postgres)
        done = at.chat(stream=True)
        assert done.status_code == 503, done.text
        assert done.json()["error"]["type"] == "service_unavailable_error"
        assert int(done.headers["retry-after"]) >= 1
        theirs = at.post("/v1/messages", {"model": GPT, "messages": HELLO, "max_tokens": 9})
        assert (theirs.status_code, theirs.json()["error"]["type"]) == (503, "overloaded_error")
        assert len(at.upstream.received) == 1
        start(postgres, at)
        until(lambda: at.chat().status_code == 200)
        until(lambda: at.states().count((GPT, "performed")) == len(at.states()) == len(at.upstream.received))


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_an_answer_waits_for_its_outcome_to_be_committed(stream: bool) -> None:
    with own_postgres() as (postgres, at):
        held = Held()
        answer = streamed(EVENTS, held=held, held_before=2) if stream else whole(REPLY.chat(), held=held)
        at.upstream.plan(answer)
        body = json.dumps({"model": GPT, "messages": HELLO, "max_tokens": 50, "stream": stream}).encode()
        seen = bytearray()

        def ask() -> int:
            headers = {"authorization": f"Bearer {at.key}", "content-type": "application/json"}
            with httpx.stream(
                "POST", f"{at.door.url}/v1/chat/completions", content=body, headers=headers, timeout=30
            ) as done:
                for part in done.iter_raw():
                    seen.extend(part)
                return done.status_code

        thread, status = in_background(ask)
        until(lambda: held.waiting == 1)
        stop(postgres)
        held.let_go()
        if stream:
            until(lambda: b"three" in seen)
            assert DONE not in seen
        assert not status
        start(postgres, at)
        thread.join()
        assert status == [200]
        assert DONE in seen if stream else json.loads(seen) == REPLY.chat()
        assert at.states() == [(GPT, "performed")]
        at.charged(REPLY.tokens)
