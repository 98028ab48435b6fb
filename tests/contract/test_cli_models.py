"""`aos models explain` and `aos models test`: why a model was asked, whether one answers, and what helps where it does not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aos.kernel.dialects.errors import error_body
from aos.kernel.dialects.values import Dialect
from aos.kernel.errors import AosError, ApprovalPending, BudgetSpent, Denied, NotFound, Unauthenticated, UpstreamFailed
from tests.contract.cli_peer import Cli, Peer

ACT = "01998a3e-0000-7000-8000-0000000000ac"
ROUTE = f"GET /actions/{ACT}/route"
DOOR = "POST /v1/chat/completions"
CHOICE: dict[str, Any] = {
    "action_id": ACT,
    "asked": "purpose:quick",
    "dialect": "openai-chat",
    "model": "light",
    "state": "performed",
    "used": ["light"],
    "question": {"wish": {}},
    "order": ["light", "strong"],
    "reasons": ["purpose quick, for speed", "1. light, 80 points (cost 10: cheap)", "2. strong, 20 points"],
    "agrees": True,
}
ANSWER: dict[str, Any] = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "A model."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 3},
}


def test_the_newest_model_call_is_explained_line_by_line(aos: Cli, peer: Peer) -> None:
    peer.give("GET /actions", {"items": [{"id": ACT, "kind": "model"}], "next": None})
    peer.give(ROUTE, CHOICE)
    shown = aos("models", "explain").out
    assert peer.asked[0].query["kind"] == "model"
    assert shown.splitlines()[0].startswith("model:light  asked for as purpose:quick  performed")
    assert [line.strip() for line in shown.splitlines()[1:]] == CHOICE["reasons"]
    assert aos("models", "explain", ACT, "--json").json == CHOICE


def test_who_answered_in_the_end_and_a_choice_that_comes_out_otherwise_are_told(aos: Cli, peer: Peer) -> None:
    peer.give(ROUTE, {**CHOICE, "used": ["light", "strong"], "agrees": False})
    shown = aos("models", "explain", ACT).out
    assert "answered by strong; used: light, strong" in shown
    assert "begins with another model" in shown


def test_where_no_model_was_asked_there_is_nothing_to_explain(aos: Cli, peer: Peer) -> None:
    peer.give("GET /actions", {"items": [], "next": None})
    peer.give("GET /whoami", {})
    done = aos("models", "explain", "last")
    assert (done.status, "no model was asked here yet" in done.err) == (3, True)


def test_a_model_is_tried_at_its_door_and_its_figures_shown(aos: Cli, peer: Peer) -> None:
    peer.headers = {"aos-action-id": ACT, "aos-model": "own/light"}
    peer.give("GET /models/own%2Flight", {"dialects": ["openai-chat"]})
    peer.give(DOOR, ANSWER)
    peer.give(f"GET /actions/{ACT}", {"cost": {"amount": "0.000018", "currency": "EUR"}})
    tried = aos("models", "test", "own/light", "--prompt", "who?")
    assert tried.status == 0, tried.err
    (body,) = peer.bodies(DOOR)
    assert (body["model"], body["messages"]) == ("own/light", [{"role": "user", "content": "who?"}])
    assert body["max_tokens"] > 0
    answer, figures = tried.out.splitlines()
    assert answer == "A model."
    assert figures.startswith("own/light  ")
    assert " ms  12 input tokens  3 output tokens  0.000018 EUR  act 000000ac" in figures
    told = aos("models", "test", "own/light", "--json").json
    assert told["latency_ms"] > 0
    assert {name: told[name] for name in ("answer", "input_tokens", "output_tokens", "stop_reason", "cost")} == {
        "answer": "A model.",
        "input_tokens": 12,
        "output_tokens": 3,
        "stop_reason": "stop",
        "cost": {"amount": "0.000018", "currency": "EUR"},
    }


def test_a_model_that_only_embeds_is_tried_with_an_embedding(aos: Cli, peer: Peer) -> None:
    peer.give("GET /models/vectors", {"dialects": ["openai-embeddings"]})
    peer.give("POST /v1/embeddings", {"data": [{"embedding": [0.5] * 8}], "usage": {"prompt_tokens": 4}})
    assert "a vector of 8 numbers" in aos("models", "test", "vectors").out


def test_no_model_of_a_purpose_is_asked_for_more_than_it_writes(aos: Cli, peer: Peer) -> None:
    peer.give("GET /purposes/quick", {"models": ["light", "strong"]})
    peer.give("GET /models/light", {"output": 40})
    peer.give("GET /models/strong", {"output": 4000})
    peer.give(DOOR, ANSWER)
    assert aos("models", "test", "purpose:quick").status == 0
    assert aos("models", "test", "auto").status == 0
    limited, auto = (body["max_tokens"] for body in peer.bodies(DOOR))
    assert (limited, auto > 40) == (40, True)


OURS: list[tuple[AosError, int, str]] = [
    (NotFound("there is no model `light`"), 3, "`aos models list`"),
    (Denied("refused by no-models: not today", reasons=("no-models: not today",)), 4, "no-models: not today"),
    (BudgetSpent("budget `all` has no room"), 4, "`aos budgets list`"),
    (ApprovalPending("asks a person", extra={"approval_id": ACT}), 5, "`aos approvals list`"),
    (UpstreamFailed("nothing answers at `http://127.0.0.1:9`"), 1, "`aos models show light`"),
    (Unauthenticated("the token is not known"), 8, "`aos login`"),
]


@pytest.mark.parametrize(("error", "status", "helps"), OURS, ids=[each[0].slug for each in OURS])
def test_a_refusal_of_the_gate_is_shown_with_what_helps(
    error: AosError, status: int, helps: str, aos: Cli, peer: Peer
) -> None:
    http_status, body = error_body(Dialect.CHAT, error)
    peer.give(DOOR, json.loads(body), status=http_status)
    done = aos("models", "test", "light")
    assert (done.status, done.out) == (status, "")
    assert done.err.startswith(f"{error.title}: {error.detail}")
    assert helps in done.err


@pytest.mark.parametrize(
    ("http_status", "exit_status", "helps"),
    [(401, 1, "`aos secrets rotate`"), (404, 3, "`aos models show light`"), (429, 7, "credit"), (500, 1, "again")],
)
def test_a_refusal_of_the_provider_is_told_from_one_of_the_gate(
    http_status: int, exit_status: int, helps: str, aos: Cli, peer: Peer
) -> None:
    peer.give(DOOR, {"error": {"message": "no such key", "type": "x"}}, status=http_status)
    done = aos("models", "test", "light")
    assert done.status == exit_status
    assert done.err.startswith(f"The provider of `light` answered {http_status}: no such key")
    assert helps in done.err
    assert "sign in" not in done.err
