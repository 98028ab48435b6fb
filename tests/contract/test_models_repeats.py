"""The same request again: under its Idempotency-Key, after a person's yes, while it is under way; and whose keys stay where."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import anthropic
import httpx
import openai
import psycopg
import pytest

from aos.kernel.models.values import Purpose
from aos.kernel.people import Actor, Role
from aos.kernel.policy.values import Approvers, Outcome, Rule
from aos.operations.approvals import Answer, Approvals
from tests.contract.model_upstream import Held, cut_after, streamed, whole
from tests.contract.model_wire import Reply
from tests.contract.model_worlds import CLAUDE, GPT, HELLO, UPSTREAM_KEY, ModelDoor, model, open_models
from tests.databases import Database
from tests.doors import until
from tests.worlds import agent, make_world

REPLY = Reply()
ASK = Rule(
    "long-answers", 1, Outcome.ESCALATE, (), ("model:*",), "args.max_tokens > 1000",
    "{args.max_tokens} tokens are many", approvers=Approvers(),
)  # fmt: skip
LONG = 2_000


@pytest.fixture
def at(database: Database) -> Iterator[ModelDoor]:
    with open_models(database, whole(REPLY.chat()), rules=[ASK], agents=[agent("other", models=(GPT,))]) as opened:
        yield opened


def answer(at: ModelDoor, approval: str, said: Answer, comment: str = "") -> None:
    """Answer an approval as a person does."""
    world, running = at.world, at.door.running
    actor = Actor(world.organization_id, world.person_id, "maria@larkspur.example", frozenset({Role.APPROVER}))
    does = Approvals(running.database, running.facts, running.drivers)
    at.door.run(does.answer_approval(actor, UUID(approval), answer=said, comment=comment))


def problem(done: httpx.Response) -> dict[str, Any]:
    """Return the problem beside a refusal."""
    document = done.json()
    found: dict[str, Any] = document["aos"] if "aos" in document else document["error"]["aos"]
    return found


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_the_same_key_gives_the_same_answer_without_another_call(at: ModelDoor, stream: bool) -> None:
    at.upstream.plan(streamed(REPLY.chat_events()) if stream else whole(REPLY.chat()))
    first, again = (at.chat(stream=stream, idempotency_key="k1") for _ in range(2))
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["content-type"].split(";")[0] == first.headers["content-type"].split(";")[0]
    assert again.headers["aos-action-id"] == first.headers["aos-action-id"]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert len(at.upstream.received) == 1
    at.charged(REPLY.tokens)


def test_official_clients_read_a_replayed_stream_as_the_first(at: ModelDoor) -> None:
    at.upstream.plan(streamed(REPLY.messages_events()))
    client, texts = at.anthropic(), []
    for _ in range(2):
        with client.messages.stream(
            model=CLAUDE, messages=HELLO, max_tokens=9, extra_headers={"Idempotency-Key": "k"}
        ) as stream:
            texts.append("".join(stream.text_stream))
    assert texts == [REPLY.text] * 2
    at.charged(REPLY.tokens)


def test_another_body_under_the_same_key_is_422(at: ModelDoor) -> None:
    assert at.chat(idempotency_key="k1").status_code == 200
    other = at.chat(idempotency_key="k1", temperature=0.5)
    assert other.status_code == 422
    assert (other.json()["error"]["type"], other.json()["error"]["code"]) == (
        "invalid_request_error",
        "idempotency_mismatch",
    )
    with pytest.raises(openai.UnprocessableEntityError):
        at.openai(max_retries=2).chat.completions.create(
            model=GPT, messages=HELLO, max_tokens=8, extra_headers={"Idempotency-Key": "k1"}
        )
    assert len(at.upstream.received) == 1


def test_two_agents_may_use_the_same_key(at: ModelDoor) -> None:
    other = at.door.api_key("other")
    assert [at.chat(idempotency_key="k1", key=key).status_code for key in (at.key, other)] == [200, 200]
    assert len(at.upstream.received) == 2


def test_a_call_under_way_is_409_for_the_same_key(at: ModelDoor) -> None:
    held = Held()
    at.upstream.plan(whole(REPLY.chat(), held=held))
    body = json.dumps({"model": GPT, "messages": HELLO, "max_tokens": 100}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: aos\r\nauthorization: Bearer {at.key}\r\n"
        f"content-type: application/json\r\nidempotency-key: k1\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    with at.door.connect() as first:
        first.sendall(head.encode() + body)
        at.upstream.asked()
        busy = at.post("/v1/chat/completions", body, idempotency_key="k1")
        held.let_go()
        assert first.recv(65536).startswith(b"HTTP/1.1 200")
    assert (busy.status_code, busy.json()["error"]["code"]) == (409, "still_running")
    assert "retry-after" in busy.headers
    assert at.post("/v1/chat/completions", body, idempotency_key="k1").headers["idempotency-replayed"] == "true"
    assert len(at.upstream.received) == 1


def test_a_failure_under_a_key_is_the_outcome_and_is_not_tried_again(at: ModelDoor) -> None:
    at.upstream.plan(whole({"error": {"message": "no such thing", "type": "invalid_request_error"}}, status="400 Bad"))
    first = at.chat(idempotency_key="k1")
    assert (first.status_code, first.json()["error"]["message"]) == (400, "no such thing")
    again = at.chat(idempotency_key="k1")
    assert again.status_code >= 400
    assert problem(again)["action_id"] == first.headers["aos-action-id"]
    assert again.headers["x-should-retry"] == "false"
    assert len(at.upstream.received) == 1


def test_a_stream_that_broke_is_not_replayed_as_an_answer(at: ModelDoor) -> None:
    at.upstream.plan(cut_after(REPLY.chat_events()[:3]))
    assert b'"error"' in at.chat(stream=True, idempotency_key="k1").content
    again = at.chat(stream=True, idempotency_key="k1")
    assert again.status_code == 502
    assert len(at.upstream.received) == 1


@pytest.mark.parametrize("by", ["key", "approval"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_an_escalated_call_waits_and_is_made_once_after_the_yes(at: ModelDoor, by: str, stream: bool) -> None:
    at.upstream.plan(streamed(REPLY.chat_events()) if stream else whole(REPLY.chat()))
    again: dict[str, Any] = {"idempotency_key": "k1"} if by == "key" else {}
    first = at.chat(max_tokens=LONG, stream=stream, **again)
    assert (first.status_code, first.json()["error"]["code"]) == (403, "approval_pending")
    assert first.headers["x-should-retry"] == "false"
    assert "2000 tokens are many" in first.json()["error"]["message"]
    waiting = problem(first)
    if by == "approval":
        again = {"aos_approval_id": waiting["approval_id"]}
    still = at.chat(max_tokens=LONG, stream=stream, **again)
    assert (still.status_code, problem(still)["approval_id"]) == (403, waiting["approval_id"])
    assert at.upstream.received == []
    answer(at, waiting["approval_id"], Answer.APPROVE)
    done, replayed = (at.chat(max_tokens=LONG, stream=stream, **again) for _ in range(2))
    assert (done.status_code, done.headers["aos-action-id"]) == (200, waiting["action_id"])
    assert (replayed.status_code, replayed.content) == (200, done.content)
    assert replayed.headers["idempotency-replayed"] == "true"
    assert len(at.upstream.received) == 1
    assert at.world.rows("select status from approval") == [("used",)]
    at.charged(REPLY.tokens)


def test_official_clients_ask_once_for_what_waits_for_a_person(at: ModelDoor) -> None:
    with pytest.raises(openai.PermissionDeniedError) as ours:
        at.openai(max_retries=3).chat.completions.create(model=GPT, messages=HELLO, max_tokens=LONG)
    assert ours.value.code == "approval_pending"
    with pytest.raises(anthropic.PermissionDeniedError) as theirs:
        at.anthropic(max_retries=3).messages.create(model=CLAUDE, messages=HELLO, max_tokens=LONG)
    assert theirs.value.body["aos"]["approval_id"]  # type: ignore[index]
    assert at.world.rows("select count(*) from approval") == [(2,)]


def test_a_person_who_says_no_is_heard(at: ModelDoor) -> None:
    waiting = problem(at.chat(max_tokens=LONG, idempotency_key="k1"))
    answer(at, waiting["approval_id"], Answer.DENY, "use fewer words")
    done = at.chat(max_tokens=LONG, idempotency_key="k1")
    assert (done.status_code, done.json()["error"]["code"]) == (403, "policy_denied")
    assert "use fewer words" in done.json()["error"]["message"]
    assert at.upstream.received == []


def test_a_yes_is_for_the_very_request_that_it_was_given_for(at: ModelDoor) -> None:
    waiting = problem(at.chat(max_tokens=LONG))
    answer(at, waiting["approval_id"], Answer.APPROVE)
    other = at.chat(max_tokens=LONG, temperature=0.9, aos_approval_id=waiting["approval_id"])
    assert (other.status_code, other.json()["error"]["code"]) == (409, "conflict")
    assert at.upstream.received == []


def test_the_agents_key_stays_here_and_the_servers_key_is_never_shown(
    at: ModelDoor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    blabbing = {"error": {"message": f"Incorrect API key provided: {UPSTREAM_KEY}", "type": "invalid_request_error"}}
    at.upstream.plan(
        whole(REPLY.chat()),
        streamed(REPLY.chat_events()),
        whole(blabbing, status="401 Unauthorized", headers=[("x-key", UPSTREAM_KEY)]),
        whole(f"<p>{UPSTREAM_KEY}</p>".encode(), status="403 Forbidden"),
        cut_after(REPLY.chat_events()[:2]),
    )
    said = [at.chat(idempotency_key="k"), at.chat(stream=True), at.chat(), at.chat(), at.chat(stream=True)]
    said.append(at.post("/v1/chat/completions", {"model": GPT}))
    assert [each.status_code for each in said] == [200, 200, 401, 403, 200, 400]
    until(lambda: {state for _, state in at.states()} <= {"performed", "failed"})
    for sent in at.upstream.received:
        assert at.key.encode() not in sent.raw
        assert sent.headers["authorization"] == f"Bearer {UPSTREAM_KEY}"
        assert not [name for name in sent.headers if name.startswith(("aos-", "x-aos", "idempotency", "cookie"))]
    for each in said:
        assert UPSTREAM_KEY not in each.text
        assert UPSTREAM_KEY not in str(each.headers)
    written = "\n".join(everything_written(at))
    logged = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    for secret in (UPSTREAM_KEY, at.key):
        assert secret not in written
        assert secret not in logged


def everything_written(at: ModelDoor) -> Iterator[str]:
    """Yield every row of every table as text, bytes in hexadecimal and as they are."""
    tables = at.world.rows("select tablename from pg_tables where schemaname = 'public' order by 1")
    assert len(tables) > 30
    for (table,) in tables:
        for (row,) in at.world.rows(f'select to_jsonb(t)::text from "{table}" t'):
            yield row
            for part in row.split('"\\\\x')[1:]:
                yield bytes.fromhex(part.split('"')[0]).decode("latin-1")


def test_two_organizations_share_a_process_and_neither_keys_nor_answers(database: Database) -> None:
    work = Purpose("work", (GPT,), cache_seconds=600)
    with open_models(database, whole(REPLY.chat()), models={GPT: {}}, purposes=[work]) as at:
        theirs = "sk-of-the-second-organization"
        second = make_world(
            database,
            agents=[agent("asker", models=(GPT,))],
            models=[model(GPT, at.upstream)],
            purposes=[work],
            secrets={"upstream": theirs},
            hosts=[at.upstream.host],
            keys=at.world.keys,
        )
        keys = (at.key, replace(at.door, world=second).api_key("asker"))
        asks: list[dict[str, Any]] = [{"model": "purpose:work"}, {"idempotency_key": "k1"}]
        for asked in asks:
            for _ in range(2):
                assert [at.chat(key=key, **asked).status_code for key in keys] == [200, 200]
        sent = [received.headers["authorization"] for received in at.upstream.received]
        assert sent == [f"Bearer {UPSTREAM_KEY}", f"Bearer {theirs}"] * 2
        charged = "select sum(quantity)::int from usage_event where unit = 'output_tokens' group by organization_id"
        assert at.world.rows(charged) == [(2 * REPLY.tokens.output,)] * 2


def test_an_answer_is_given_again_though_its_model_is_gone(at: ModelDoor) -> None:
    at.upstream.plan(whole(REPLY.chat()))
    first = at.chat(idempotency_key="k1")
    with psycopg.connect(at.world.test_database.owner) as owner:
        owner.execute("update model set retired_at = now() where name = %s", (GPT,))
        owner.execute("update organization set epoch = epoch + 1 where id = %s", (at.world.organization_id,))
    again = at.chat(idempotency_key="k1")
    assert (again.status_code, again.content) == (200, first.content)
    assert at.chat(idempotency_key="k2").status_code == 404
    assert len(at.upstream.received) == 1


def test_a_key_under_which_nothing_was_sent_may_be_used_again(database: Database) -> None:
    elsewhere = {GPT: {"base_url": "http://127.0.0.1:1/v1"}}
    with open_models(database, whole(REPLY.chat()), models=elsewhere) as at:
        assert at.chat(idempotency_key="k1").status_code >= 400
        assert at.upstream.received == []
        with psycopg.connect(at.world.test_database.owner) as owner:
            assert owner.execute("select count(*) from idempotency").fetchall() == [(0,)]
