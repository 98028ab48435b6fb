"""What is kept of model calls where an organization says so: requests and answers as text, redacted, for who may read content."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

import pytest

from aos.kernel.dialects.read import read_ask
from aos.kernel.dialects.values import Dialect
from aos.kernel.identity import ChainLink, Principal, PrincipalKind
from aos.kernel.redaction import CAPTURED_BYTES_MAX, Capture, CaptureMode, Personal
from aos.operations.model_acts import ModelCall
from aos.operations.model_calls import ModelCalls, Streamed, Whole
from tests.contract.model_wire import Call, Reply
from tests.contract.test_rest_drafts import facts
from tests.planes import Plane
from tests.run_worlds import Company, make_company
from tests.scripted_models import URL, Answer, ScriptedModels

OWN: dict[str, Any] = {"provider": "openai-compatible", "base_url": URL, "output": 1000, "price": "free"}
SECRETS = ("joe@elsewhere.example", "DE89370400440532013000", "4111 1111 1111 1111", "+49 171 2345678")
ASKED = f"Write to {SECRETS[0]}, who pays from {SECRETS[1]}."
REPLY = Reply(f"Call {SECRETS[3]} about {SECRETS[2]}.", (Call("call_1", "mail", {"to": SECRETS[0]}),))


@pytest.fixture
def company(plane: Plane) -> Company:
    """A company with one model, which keeps text."""
    assert plane.post("/models", {"name": "light", **OWN}).status_code == 201
    answer = capture(plane, {"models": "text"})
    assert answer.status_code == 200, answer.text
    return make_company(plane)


def capture(plane: Plane, setting: Any, **more: Any) -> Any:
    """Apply a manifest that says what is kept."""
    return plane.post("/manifest", {"manifest": {"aos": 1, "organization": {"capture": setting}}}, **more)


def ask(company: Company, *, asked: str = ASKED, stream: bool = False, key: str | None = None) -> tuple[Any, bytes]:
    """Ask the model as a developer; return what came and its body."""
    messages = [{"role": "user", "content": asked}]
    body = json.dumps({"model": "light", "messages": messages, "max_tokens": 10, "stream": stream}).encode()
    link = ChainLink(PrincipalKind.PERSON, company.world.person_id, "maria@larkspur.example")
    principal = Principal(company.world.organization_id, (link,), roles=("developer",))
    call = ModelCall(
        principal, read_ask(Dialect.CHAT, body), body, hashlib.sha256(body).hexdigest(), idempotency_key=key
    )
    said = b"".join(REPLY.chat_events()) if stream else json.dumps(REPLY.chat()).encode()

    async def go() -> tuple[Any, bytes]:
        async with company.world.running(models=ScriptedModels([Answer(200, said)])) as aos:
            done = await ModelCalls(aos.gate, aos.facts, aos.drivers).make(call)
            if isinstance(done, Streamed):
                return done, b"".join([part async for part in done.parts])
            assert isinstance(done, Whole)
            return done, done.said.body

    return asyncio.run(go())


def shown(plane: Plane, done: Any, **more: Any) -> Any:
    """Return the action as its page by REST shows it."""
    return plane.get(f"/actions/{done.action_id}", **more).json()


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("key", [None, "again"], ids=["once", "with a key"])
def test_requests_and_answers_are_kept_redacted_for_who_may_read_content(
    plane: Plane, company: Company, stream: bool, key: str | None
) -> None:
    done, body = ask(company, stream=stream, key=key)
    found = shown(plane, done)
    request, answer = json.loads(found["arguments"]["request"]), json.loads(found["result"]["answer"])
    assert request["messages"] == [{"role": "user", "content": "Write to [email], who pays from [iban]."}]
    if stream:
        assert answer == [{"text": "Call [phone] about [card]."}, {"name": "mail", "arguments": '{"to":"[email]"}'}]
    else:
        assert answer["choices"][0]["message"]["content"] == "Call [phone] about [card]."
    assert not [secret for secret in SECRETS if secret in json.dumps(found)]
    assert b"[card]" not in body
    (listed,) = plane.get("/actions").json()["items"]
    assert not [secret for secret in SECRETS if secret in json.dumps(listed)]
    viewer = plane.as_person("viewer@larkspur.example", "viewer")
    closed = shown(plane, done, token=viewer)
    assert (closed["arguments"], closed["result"]) == (None, None)
    if key is not None:
        again, same = ask(company, stream=stream, key=key)
        assert (again.replayed, same) == (True, body)


@pytest.mark.parametrize("setting", [None, {"models": "none"}], ids=["unless said", "none"])
def test_nothing_is_kept_unless_it_is_said(plane: Plane, company: Company, setting: Any) -> None:
    assert capture(plane, setting or {"models": "none"}).status_code == 200
    if setting is None:
        company.world.rows("update organization_settings set capture = '{}'")
    done, _ = ask(company)
    found = shown(plane, done)
    assert "request" not in found["arguments"]
    assert "answer" not in (found["result"] or {})


def test_only_what_is_named_is_redacted_and_what_is_long_is_cut_with_a_mark(plane: Plane, company: Company) -> None:
    assert capture(plane, {"models": "text", "redact": ["iban"]}).status_code == 200
    done, _ = ask(company, asked=ASKED + " x" * CAPTURED_BYTES_MAX)
    request = shown(plane, done)["arguments"]["request"]
    assert f"Write to {SECRETS[0]}, who pays from [iban]." in request
    assert request.endswith(f"… [cut at {CAPTURED_BYTES_MAX} bytes]")
    assert len(request.encode()) < CAPTURED_BYTES_MAX + 60
    (listed,) = plane.get("/actions").json()["items"]
    assert (listed["arguments"]["model"], "request" in listed["arguments"]) == ("light", False)


def test_what_is_kept_is_sealed_in_the_store(plane: Plane, company: Company) -> None:
    ask(company, stream=True, key="again")
    ((sealed,),) = company.world.rows("select string_agg(sealed, ''::bytea) from content")
    ((recorded,),) = company.world.rows("select string_agg(bytes, ''::bytea) from record")
    for kept in (sealed, recorded):
        assert b"[email]" not in kept
        assert b"Write to" not in kept


def test_what_is_kept_is_changed_by_who_may_publish_policies_alone(plane: Plane) -> None:
    developer = plane.as_person("dan@larkspur.example", "developer")
    setting = {"models": "text", "redact": ["phone", "email"]}
    assert capture(plane, setting, token=developer).status_code == 403
    (change,) = capture(plane, setting).json()["changes"]
    assert (change["mark"], "requests to models and their answers are kept" in change["detail"]) == ("!", True)
    assert facts(plane).settings.capture == Capture(CaptureMode.TEXT, (Personal.EMAIL, Personal.PHONE))
    assert capture(plane, setting, token=developer).json()["changes"] == []
    (change,) = capture(plane, {**setting, "redact": ["email"]}).json()["changes"]
    assert (change["mark"], "`phone` is kept readable" in change["detail"]) == ("!", True)
    (change,) = capture(plane, {"models": "none"}).json()["changes"]
    assert change["mark"] == "~"
    for wrong in ({"models": "all"}, {"models": "text", "redact": ["name"]}, {"text": True}, "text"):
        refused = capture(plane, wrong)
        assert refused.status_code == 422, refused.text
        assert refused.json()["errors"][0]["pointer"].startswith("/manifest/organization/capture")
