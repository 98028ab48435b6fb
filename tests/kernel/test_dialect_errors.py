"""Refusals and failures in the form of each dialect."""

from __future__ import annotations

import json

import pytest

from aos.kernel.dialects.errors import error_body, error_event, translate_error
from aos.kernel.dialects.values import Dialect
from aos.kernel.errors import (
    AosError,
    BudgetSpent,
    Denied,
    FieldError,
    InvalidRequest,
    NotFound,
    RateLimited,
    Unauthenticated,
    Unavailable,
    UpstreamFailed,
)

REFUSED = Denied("refused by large-payments: over the limit", reasons=["large-payments"])
WAITS = Denied("waits for an approver", extra={"approval_id": "a-1"})
WRONG = InvalidRequest("no", errors=[FieldError("/messages/0/role", "no")])
NO_MODEL = NotFound("no model `x`", errors=[FieldError("/model", "no")])

OPENAI = [
    (REFUSED, 403, "permission_denied", "policy_denied"),
    (WAITS, 403, "permission_denied", "approval_pending"),
    (BudgetSpent("no room"), 402, "insufficient_quota", "budget_spent"),
    (RateLimited("too many"), 429, "rate_limit_error", "rate_limit_exceeded"),
    (Unauthenticated("who"), 401, "authentication_error", "invalid_api_key"),
    (NO_MODEL, 404, "invalid_request_error", "model_not_found"),
    (NotFound("no door `/x`"), 404, "invalid_request_error", "not_found"),
    (WRONG, 400, "invalid_request_error", "invalid_request"),
    (Unavailable("later"), 503, "service_unavailable_error", "unavailable"),
    (UpstreamFailed("cut"), 502, "server_error", "upstream_failed"),
]
ANTHROPIC = [
    (REFUSED, 403, "permission_error"),
    (WAITS, 403, "permission_error"),
    (BudgetSpent("no room"), 402, "billing_error"),
    (RateLimited("too many"), 429, "rate_limit_error"),
    (Unauthenticated("who"), 401, "authentication_error"),
    (NotFound("no model `x`"), 404, "not_found_error"),
    (WRONG, 400, "invalid_request_error"),
    (Unavailable("later"), 503, "overloaded_error"),
    (UpstreamFailed("cut"), 502, "api_error"),
]


@pytest.mark.parametrize(("error", "status", "kind", "code"), OPENAI)
def test_openai_clients_get_their_form(error: AosError, status: int, kind: str, code: str) -> None:
    got, body = error_body(Dialect.CHAT, error)
    inner = json.loads(body)["error"]
    assert (got, inner["type"], inner["code"], inner["message"]) == (status, kind, code, error.detail)
    assert inner["aos"]["type"] == f"urn:aos:problem:{error.slug}"
    assert inner["param"] == ("messages.0.role" if error is WRONG else "model" if error is NO_MODEL else None)


@pytest.mark.parametrize(("error", "status", "kind"), ANTHROPIC)
def test_anthropic_clients_get_their_form(error: AosError, status: int, kind: str) -> None:
    got, body = error_body(Dialect.MESSAGES, error)
    read = json.loads(body)
    assert (got, read["type"], read["error"]) == (status, "error", {"type": kind, "message": error.detail})
    assert read["aos"]["status"] == status


def test_the_problem_stands_beside_with_rules_and_approval() -> None:
    assert json.loads(error_body(Dialect.CHAT, REFUSED)[1])["error"]["aos"]["reasons"] == ["large-payments"]
    assert json.loads(error_body(Dialect.MESSAGES, WAITS)[1])["aos"]["approval_id"] == "a-1"
    assert json.loads(error_body(Dialect.CHAT, RateLimited("x"))[1])["error"]["aos"]["retry_after_seconds"] == 1


OPENAI_ERROR = {"error": {"message": "bad key", "type": "invalid_request_error", "code": "invalid_api_key"}}
ANTHROPIC_ERROR = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}, "request_id": "r"}


def test_an_upstream_s_error_stays_as_it_is_in_its_own_dialect() -> None:
    body = json.dumps(OPENAI_ERROR, indent=1).encode()
    assert translate_error(401, body, Dialect.CHAT, Dialect.RESPONSES) == body
    body = json.dumps(ANTHROPIC_ERROR, indent=1).encode()
    assert translate_error(529, body, Dialect.MESSAGES, Dialect.MESSAGES) == body


def test_an_upstream_s_error_is_told_in_the_other_dialect() -> None:
    told = translate_error(401, json.dumps(OPENAI_ERROR).encode(), Dialect.CHAT, Dialect.MESSAGES)
    assert json.loads(told) == {"type": "error", "error": {"type": "authentication_error", "message": "bad key"}}
    told = translate_error(529, json.dumps(ANTHROPIC_ERROR).encode(), Dialect.MESSAGES, Dialect.CHAT)
    assert json.loads(told)["error"] == {
        "message": "busy",
        "type": "service_unavailable_error",
        "code": "overloaded_error",
        "param": None,
    }


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>502</html>", "<html>502</html>"),
        (b"", "the model's server gave no reason"),
        (b'{"detail":"no such model"}', "no such model"),
        (b'{"error":"model not loaded"}', "model not loaded"),
        (b'{"object":"error","message":"too long","code":400}', "too long"),
        (b'"words"', "words"),
        (b'{"detail":[{"loc":["body"]}]}', '{"detail":[{"loc":["body"]}]}'),
    ],
)
def test_an_error_of_any_form_becomes_one_of_the_dialect(body: bytes, message: str) -> None:
    told = json.loads(translate_error(502, body, Dialect.CHAT, Dialect.CHAT))
    assert told["error"]["message"] == message
    told = json.loads(translate_error(502, body, Dialect.CHAT, Dialect.MESSAGES))
    assert told["error"] == {"type": "api_error", "message": message}


def test_a_failure_in_mid_stream_is_an_event_of_the_dialect() -> None:
    cut = UpstreamFailed("cut")
    assert error_event(Dialect.MESSAGES, cut).startswith(
        b'event: error\ndata: {"type":"error","error":{"type":"api_error"'
    )
    assert error_event(Dialect.CHAT, cut).startswith(b'data: {"error":{"message":"cut"')
    read = json.loads(error_event(Dialect.RESPONSES, cut).split(b"data: ")[1])
    assert (read["type"], read["message"], read["code"]) == ("error", "cut", "upstream_failed")
