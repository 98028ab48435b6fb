"""What the model doors refuse: in the caller's dialect, as its official client understands it, before any money is spent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest

from aos.kernel.models.values import Provider, Purpose
from aos.kernel.money import Money
from aos.kernel.policy.values import Outcome, Rule
from tests.contract.model_upstream import Held, whole
from tests.contract.model_wire import Reply
from tests.contract.model_worlds import CLAUDE, GPT, HELLO, ModelDoor, open_models
from tests.databases import Database
from tests.doors import WRITTEN, revoke

REPLY = Reply()
CHAT, RESPONSES, EMBEDDINGS = "/v1/chat/completions", "/v1/responses", "/v1/embeddings"
MESSAGES, COUNT = "/v1/messages", "/v1/messages/count_tokens"
NO_LONG = Rule("no-long", 1, Outcome.DENY, (), ("model:*",), "args.max_tokens > 1000", "{args.max_tokens} is too long")


@pytest.fixture
def at(database: Database) -> Iterator[ModelDoor]:
    with open_models(database, whole(REPLY.chat())) as opened:
        yield opened


def chat(**changes: Any) -> dict[str, Any]:
    """Return the body of a chat; what is `...` is left out."""
    return _body({"model": GPT, "messages": HELLO, "max_tokens": 20}, changes)


def messages(**changes: Any) -> dict[str, Any]:
    """Return the body of messages; what is `...` is left out."""
    return _body({"model": CLAUDE, "messages": HELLO, "max_tokens": 20}, changes)


def _body(usual: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (usual | changes).items() if value is not ...}


def refused(done: httpx.Response, status: int, kind: str, code: str = "") -> dict[str, Any]:
    """Check the form of a refusal by its path, and return the problem beside it."""
    assert done.status_code == status, done.text
    assert done.headers["content-type"] == "application/json"
    document = done.json()
    problem: dict[str, Any]
    if done.request.url.path.startswith(MESSAGES):
        assert set(document) == {"type", "error", "aos"}
        assert set(document["error"]) == {"type", "message"}
        problem = document["aos"]
    else:
        assert set(document) == {"error"}
        assert set(document["error"]) == {"message", "type", "code", "param", "aos"}
        assert document["error"]["code"] == code
        problem = document["error"]["aos"]
    assert document["error"]["type"] == kind
    assert document["error"]["message"] == problem["detail"]
    assert problem["status"] == status
    return problem


BAD: dict[str, tuple[str, Any, int, str, str, str]] = {
    # case: path, body, status, type, code, pointer
    "chat: unknown model": (CHAT, chat(model="gpt-99"), 404, "invalid_request_error", "model_not_found", "/model"),
    "chat: unknown purpose": (CHAT, chat(model="purpose:x"), 404, "invalid_request_error", "model_not_found", "/model"),
    "chat: no model": (CHAT, chat(model=...), 400, "invalid_request_error", "invalid_request", "/model"),
    "chat: a model that is no text": (CHAT, chat(model=7), 400, "invalid_request_error", "invalid_request", "/model"),
    "chat: an empty model": (CHAT, chat(model=""), 400, "invalid_request_error", "invalid_request", "/model"),
    "chat: no JSON": (CHAT, b"model=gpt", 400, "invalid_request_error", "invalid_request", ""),
    "chat: JSON cut off": (CHAT, b'{"model":"gpt","mess', 400, "invalid_request_error", "invalid_request", ""),
    "chat: nothing": (CHAT, b"", 400, "invalid_request_error", "invalid_request", ""),
    "chat: no UTF-8": (CHAT, b'{"model":"\xff\xfe"}', 400, "invalid_request_error", "invalid_request", ""),
    "chat: a list": (CHAT, [chat()], 400, "invalid_request_error", "invalid_request", ""),
    "chat: nested too deep": (CHAT, b"[" * 100_000, 400, "invalid_request_error", "invalid_request", ""),
    "chat: no messages": (CHAT, chat(messages=...), 400, "invalid_request_error", "invalid_request", "/messages"),
    "chat: empty messages": (CHAT, chat(messages=[]), 400, "invalid_request_error", "invalid_request", "/messages"),
    "chat: messages that are a text": (CHAT, chat(messages="hi"), 400, "invalid_request_error", "invalid_request", "/messages"),
    "chat: a message that is a text": (CHAT, chat(messages=["hi"]), 400, "invalid_request_error", "invalid_request", "/messages/0"),
    "chat: a message without a role": (
        CHAT, chat(messages=[{"content": "hi"}]), 400, "invalid_request_error", "invalid_request", "/messages/0/role",
    ),
    "chat: content of the wrong sort": (
        CHAT, chat(messages=[{"role": "user", "content": 7}]), 400, "invalid_request_error", "invalid_request",
        "/messages/0/content",
    ),
    "chat: a negative limit": (CHAT, chat(max_tokens=-1), 400, "invalid_request_error", "invalid_request", "/max_tokens"),
    "chat: a limit of none": (CHAT, chat(max_tokens=0), 400, "invalid_request_error", "invalid_request", "/max_tokens"),
    "chat: a limit that is a text": (CHAT, chat(max_tokens="20"), 400, "invalid_request_error", "invalid_request", "/max_tokens"),
    "chat: a negative new limit": (
        CHAT, chat(max_completion_tokens=-5), 400, "invalid_request_error", "invalid_request", "/max_completion_tokens",
    ),
    "chat: no choices": (CHAT, chat(n=0), 400, "invalid_request_error", "invalid_request", "/n"),
    "chat: stream that is a text": (CHAT, chat(stream="yes"), 400, "invalid_request_error", "invalid_request", "/stream"),
    "responses: unknown model": (
        RESPONSES, {"model": "gpt-99", "input": "hi"}, 404, "invalid_request_error", "model_not_found", "/model",
    ),
    "responses: no JSON": (RESPONSES, b"{", 400, "invalid_request_error", "invalid_request", ""),
    "responses: a negative limit": (
        RESPONSES, {"model": GPT, "input": "hi", "max_output_tokens": -1}, 400, "invalid_request_error",
        "invalid_request", "/max_output_tokens",
    ),
    "responses: in the background": (
        RESPONSES, {"model": GPT, "input": "hi", "background": True}, 400, "invalid_request_error", "invalid_request",
        "/background",
    ),
    "embeddings: no input": (EMBEDDINGS, {"model": GPT}, 400, "invalid_request_error", "invalid_request", "/input"),
    "embeddings: of a model that makes none": (
        EMBEDDINGS, {"model": CLAUDE, "input": "hi"}, 400, "invalid_request_error", "invalid_request", "/model",
    ),
    "messages: unknown model": (MESSAGES, messages(model="opus"), 404, "not_found_error", "", "/model"),
    "messages: unknown purpose": (MESSAGES, messages(model="purpose:x"), 404, "not_found_error", "", "/model"),
    "messages: no JSON": (MESSAGES, b"hello", 400, "invalid_request_error", "", ""),
    "messages: no messages": (MESSAGES, messages(messages=...), 400, "invalid_request_error", "", "/messages"),
    "messages: a message without a role": (
        MESSAGES, messages(messages=[{"content": "hi"}]), 400, "invalid_request_error", "", "/messages/0/role",
    ),
    "messages: a negative limit": (MESSAGES, messages(max_tokens=-1), 400, "invalid_request_error", "", "/max_tokens"),
    "count_tokens: unknown model": (COUNT, messages(model="opus"), 404, "not_found_error", "", "/model"),
    "count_tokens: no list": (COUNT, messages(messages={}), 400, "invalid_request_error", "", "/messages"),
}  # fmt: skip


def test_what_is_wrong_is_refused_in_the_dialects_form_before_anything_is_written_or_sent(at: ModelDoor) -> None:
    for case, (path, body, status, kind, code, pointer) in BAD.items():
        done = at.post(path, body)
        problem = refused(done, status, kind, code)
        assert [each["pointer"] for each in problem.get("errors", [])] == ([pointer] if pointer else []), case
        assert done.headers["x-should-retry"] == "false", case
    assert at.door.written() == dict.fromkeys(WRITTEN, 0)
    assert at.upstream.received == []


def test_official_clients_raise_what_their_users_catch(at: ModelDoor) -> None:
    ours, theirs = at.openai(max_retries=3).chat.completions, at.anthropic(max_retries=3).messages
    with pytest.raises(openai.NotFoundError) as missing:
        ours.create(model="gpt-99", messages=HELLO)
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    assert "gpt-99" in missing.value.message
    with pytest.raises(openai.BadRequestError) as wrong:
        ours.create(model=GPT, messages=HELLO, max_tokens=-1)
    assert wrong.value.param == "max_tokens"
    with pytest.raises(anthropic.NotFoundError):
        theirs.create(model="opus", messages=HELLO, max_tokens=1)
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        theirs.create(model=CLAUDE, messages=HELLO, max_tokens=-1)


def test_another_method_or_sort_of_body_is_refused_in_the_dialects_form(at: ModelDoor) -> None:
    got = at.door.client.get(CHAT, headers={"authorization": f"Bearer {at.key}"})
    assert (got.status_code, got.json()["error"]["code"]) == (405, "method_not_allowed")
    text = at.post(MESSAGES, messages(), content_type="text/plain")
    assert (text.status_code, text.json()["error"]["type"]) == (415, "invalid_request_error")
    assert at.upstream.received == []


def test_where_there_is_no_door_a_client_finds_its_own_form(at: ModelDoor) -> None:
    for path in ("/v1/completions", "/v1/moderations", "/v1/", "/v1/modelsX"):
        problem = refused(at.post(path, chat()), 404, "invalid_request_error", "not_found")
        assert path in problem["detail"]
    with pytest.raises(openai.NotFoundError, match="there is no door `/v1/files`"):
        at.openai(max_retries=3).files.list()
    with pytest.raises(anthropic.NotFoundError, match="there is no door"):
        at.anthropic(max_retries=3).messages.batches.list()
    assert at.upstream.received == []


@pytest.mark.parametrize("path", [CHAT, RESPONSES, EMBEDDINGS, MESSAGES, COUNT])
def test_who_shows_no_key_or_a_wrong_one_is_not_let_in(at: ModelDoor, path: str) -> None:
    body = messages(input="hi") if path.startswith(MESSAGES) else chat(input="hi")
    for headers in ({}, {"authorization": "Bearer aos_test_wrong"}, {"x-api-key": "sk-ant-whatever"}):
        done = at.door.client.post(path, json=body, headers=headers)
        refused(done, 401, "authentication_error", "invalid_api_key")
        assert done.headers["www-authenticate"].startswith("Bearer resource_metadata=")
    assert at.door.written() == dict.fromkeys(WRITTEN, 0)
    assert at.upstream.received == []


def test_a_revoked_key_is_refused_at_the_next_call(at: ModelDoor) -> None:
    assert at.chat().status_code == 200
    revoke(at.world, "update api_key set revoked_at = aos_now()")
    refused(at.chat(), 401, "authentication_error", "invalid_api_key")
    with pytest.raises(openai.AuthenticationError):
        at.openai(max_retries=2).chat.completions.create(model=GPT, messages=HELLO)
    with pytest.raises(anthropic.AuthenticationError):
        at.anthropic(max_retries=2).messages.create(model=CLAUDE, messages=HELLO, max_tokens=9)
    assert len(at.upstream.received) == 1


def test_a_model_that_the_agent_may_not_ask_is_denied_and_recorded(database: Database) -> None:
    with open_models(database, whole(REPLY.chat()), may=[CLAUDE]) as at:
        problem = refused(at.chat(), 403, "permission_denied", "policy_denied")
        assert "no rule allows `model:gpt`" in problem["detail"]
        assert at.world.rows("select id::text, name, state from action") == [(problem["action_id"], GPT, "refused")]
        assert (at.upstream.received, at.cost_nanos()) == ([], 0)


def test_a_policy_denies_by_what_is_asked_and_says_why(database: Database) -> None:
    with open_models(database, whole(REPLY.messages()), rules=[NO_LONG]) as at:
        problem = refused(at.post(MESSAGES, messages(max_tokens=1001)), 403, "permission_error")
        assert problem["reasons"] == ["no-long: 1001 is too long"]
        with pytest.raises(openai.PermissionDeniedError) as caught:
            at.openai(max_retries=3).chat.completions.create(model=GPT, messages=HELLO, max_tokens=2000)
        assert (caught.value.type, caught.value.code) == ("permission_denied", "policy_denied")
        with pytest.raises(anthropic.PermissionDeniedError, match="2000 is too long"):
            at.anthropic(max_retries=3).messages.create(model=CLAUDE, messages=HELLO, max_tokens=2000)
        assert at.states() == [(CLAUDE, "refused"), (GPT, "refused"), (CLAUDE, "refused")]
        assert at.upstream.received == []
        assert at.post(MESSAGES, messages(max_tokens=1000)).status_code == 200


def test_a_spent_budget_is_402_and_nothing_is_sent(database: Database) -> None:
    with open_models(database, whole(REPLY.chat()), budget=Money(1_000, "EUR")) as at:
        problem = refused(at.chat(), 402, "insufficient_quota", "budget_spent")
        assert "company" in problem["detail"]
        refused(at.post(MESSAGES, messages()), 402, "billing_error")
        refused(at.chat(max_tokens=None, stream=True), 402, "insufficient_quota", "budget_spent")
        with pytest.raises(openai.APIStatusError) as caught:
            at.openai(max_retries=3).chat.completions.create(model=GPT, messages=HELLO)
        assert (caught.value.status_code, caught.value.code) == (402, "budget_spent")
        assert {state for _, state in at.states()} == {"refused"}
        assert len(at.states()) == 4
        assert at.upstream.received == []
        assert (at.held(), at.settled()) == (0, 0)


def test_where_no_limit_is_asked_for_the_budgets_room_is_the_limit(database: Database) -> None:
    room = Money(5_000_000, "EUR")
    with open_models(database, whole(REPLY.chat()), budget=room) as at:
        assert at.chat(max_tokens=None).status_code == 200
        limit = at.upstream.last.json["max_completion_tokens"]
        assert 16 <= limit < 4096
        # What is left of the room pays for no more than so many tokens of output, each 10,000 nanos.
        assert room.nanos - (limit + 1) * 10_000 < 500 * 2_500 + 10_000
        at.charged(REPLY.tokens)


def test_the_hold_covers_every_choice_and_image(database: Database) -> None:
    held = Held()
    with open_models(database, whole(REPLY.chat(), held=held), budget=Money(10**12, "EUR")) as at:
        url = {"type": "image_url", "image_url": {"url": "https://pictures.example/1.png"}}
        body = chat(n=3, max_tokens=1_000, messages=[{"role": "user", "content": [url, url]}])
        with at.door.connect() as connection:
            text = json.dumps(body).encode()
            head = f"POST {CHAT} HTTP/1.1\r\nhost: aos\r\nauthorization: Bearer {at.key}\r\ncontent-type: application/json\r\n"
            connection.sendall(head.encode() + b"content-length: %d\r\n\r\n" % len(text) + text)
            at.upstream.asked()
            least = 2 * 1_000 * 2_500 + 3 * 1_000 * 10_000
            assert least <= at.held() <= least + 2 * 60_000 * 3_125
            held.let_go()
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        at.charged(REPLY.tokens)


def test_an_unsuitable_model_of_a_purpose_is_no_candidate(database: Database) -> None:
    named: dict[str, Any] = {CLAUDE: {"provider": Provider.ANTHROPIC}}
    purpose = Purpose("search", (CLAUDE,))
    with open_models(database, whole({}), models=named, purposes=[purpose], may=["purpose:search"]) as at:
        done = at.post(EMBEDDINGS, {"model": "purpose:search", "input": "hi"})
        problem = refused(done, 400, "invalid_request_error", "invalid_request")
        assert "claude: it does not speak openai-embeddings" in problem["detail"]
        assert at.door.written()["action"] == 0
