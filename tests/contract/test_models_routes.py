"""Which model answers: fallbacks, purposes, cascade, hedging, cache and canary, as callers and the ledger see them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from aos.kernel.dialects.values import Tokens
from aos.kernel.models.values import CascadeCheck, Purpose
from aos.kernel.policy.values import Approvers, Outcome, Rule
from tests.contract.model_upstream import Answering, cut_after, silent, streamed, whole
from tests.contract.model_wire import Reply
from tests.contract.model_worlds import GPT, ModelDoor, open_models
from tests.databases import Database
from tests.doors import until

REPLY = Reply()
PROSE, JSON = Reply("no JSON here"), Reply('{"city": "Bern"}', tokens=Tokens(input=40, output=9))
BROKEN: Any = {"error": {"message": "it broke", "type": "server_error"}}
BOTH: dict[str, Any] = {"light": {"strength": 1}, "strong": {"strength": 5}}


def failing(status: str = "500 Broken") -> Answering:
    """Return the answer of a server that fails."""
    return whole(BROKEN, status=status)


def asked(at: ModelDoor) -> list[str]:
    """Return the models that were asked, in order."""
    return [received.json["model"].removesuffix("-upstream-1") for received in at.upstream.received]


def purpose(name: str = "work", **more: Any) -> Purpose:
    return Purpose(name, ("light", "strong"), **more)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("status", ["500 Broken", "503 Busy", "429 Slow Down"])
def test_a_fallback_answers_where_the_first_model_fails(database: Database, status: str, stream: bool) -> None:
    named: dict[str, Any] = {GPT: {"fallbacks": ("spare",)}, "spare": {}}
    good = streamed(REPLY.chat_events()) if stream else whole(REPLY.chat())
    with open_models(database, good, models=named) as at:
        at.upstream.by_model = {"gpt-upstream-1": failing(status)}
        done = at.chat(stream=stream)
        assert (done.status_code, done.headers["aos-model"]) == (200, "spare")
        assert asked(at) == [GPT, "spare"]
        at.charged(REPLY.tokens)
        assert {row[0] for row in at.world.rows("select name from usage_event")} == {"spare"}
        assert len(at.states()) == 1


def test_the_last_models_error_is_the_answer_where_all_fail(database: Database) -> None:
    named: dict[str, Any] = {GPT: {"fallbacks": ("spare",)}, "spare": {}}
    with open_models(database, failing("502 Worse"), models=named) as at:
        at.upstream.by_model = {"gpt-upstream-1": failing()}
        assert at.chat().status_code == 502
        assert asked(at) == [GPT, "spare", "spare"]
        assert (at.states(), at.cost_nanos()) == ([(GPT, "failed")], 0)


def test_a_request_that_is_wrong_is_not_tried_elsewhere(database: Database) -> None:
    named: dict[str, Any] = {GPT: {"fallbacks": ("spare",)}, "spare": {}}
    with open_models(database, failing("400 Bad"), models=named) as at:
        assert at.chat().status_code == 400
        assert asked(at) == [GPT]


def test_a_fallback_that_policy_denies_is_not_asked(database: Database) -> None:
    named: dict[str, Any] = {GPT: {"fallbacks": ("spare",)}, "spare": {}}
    never = Rule("no-spare", 1, Outcome.DENY, (), ("model:spare",), reason="not for this")
    with open_models(database, failing(), models=named, rules=[never]) as at:
        assert at.chat().status_code == 500
        assert set(asked(at)) == {GPT}


def test_a_person_is_asked_where_policy_denies_the_first_model_and_would_let_a_person_allow_another(
    database: Database,
) -> None:
    named: dict[str, Any] = {GPT: {"fallbacks": ("spare",)}, "spare": {}}
    never = Rule("no-gpt", 1, Outcome.DENY, (), (f"model:{GPT}",), reason="not for this")
    ask = Rule("ask-spare", 1, Outcome.ESCALATE, (), ("model:spare",), reason="ask first", approvers=Approvers())
    with open_models(database, whole(REPLY.chat()), models=named, rules=[never, ask]) as at:
        done = at.chat()
        assert (done.status_code, done.json()["error"]["code"]) == (403, "approval_pending")
        assert at.states() == [("spare", "waiting")]


def test_an_open_breaker_says_what_the_last_failure_was_and_when_to_come_back(database: Database) -> None:
    with open_models(database, failing("502 Worse")) as at:
        done = [at.chat() for _ in range(5)][-1]
        assert done.status_code == 503
        assert "the last: answered 502" in done.json()["error"]["message"]
        assert 1 < int(done.headers["retry-after"]) <= 5


def test_nothing_is_asked_elsewhere_once_any_of_an_answer_has_gone_out(database: Database) -> None:
    named: dict[str, Any] = {GPT: {"fallbacks": ("spare",)}, "spare": {}}
    with open_models(database, whole(REPLY.chat()), models=named) as at:
        at.upstream.by_model = {"gpt-upstream-1": cut_after(REPLY.chat_events()[:2])}
        assert b"upstream_failed" in at.chat(stream=True).content
        assert asked(at) == [GPT]


def test_a_purpose_is_asked_by_its_name_and_permits_its_models(database: Database) -> None:
    with open_models(database, whole(REPLY.chat()), models=BOTH, purposes=[purpose()], may=["purpose:work"]) as at:
        assert at.chat(model="purpose:work").status_code == 200
        assert [each.id for each in at.openai().models.list()] == ["light", "strong", "purpose:work", "auto"]
        at.charged(REPLY.tokens)


def test_auto_is_answered_by_a_model_that_the_agent_may_ask(database: Database) -> None:
    with open_models(database, whole(REPLY.chat()), models=BOTH, may=["strong"]) as at:
        assert at.chat(model="auto").headers["aos-model"] == "strong"


def test_a_purpose_goes_only_where_its_data_may_go(database: Database) -> None:
    named: dict[str, Any] = {"light": {"region": "us"}, "strong": {"region": "eu"}}
    with open_models(database, whole(REPLY.chat()), models=named, purposes=[purpose(residency=("eu",))]) as at:
        for _ in range(3):
            assert at.chat(model="purpose:work").headers["aos-model"] == "strong"
        at.upstream.plan(failing())
        assert at.chat(model="purpose:work").status_code == 500
        assert set(asked(at)) == {"strong"}


def test_a_cascade_asks_a_stronger_model_where_the_check_fails_and_charges_both(database: Database) -> None:
    small_first = [purpose(cascade=(CascadeCheck.JSON,))]
    with open_models(database, whole(JSON.chat()), models=BOTH, purposes=small_first) as at:
        at.upstream.by_model = {"light-upstream-1": whole(PROSE.chat())}
        done = at.chat(model="purpose:work")
        assert done.json()["choices"][0]["message"]["content"] == JSON.text
        assert (done.headers["aos-model"], asked(at)) == ("strong", ["light", "strong"])
        at.charged(PROSE.tokens, JSON.tokens)
        assert len(at.states()) == 1


def test_a_cascade_ends_where_the_check_holds(database: Database) -> None:
    small_first = [purpose(cascade=(CascadeCheck.JSON,))]
    with open_models(database, whole(JSON.chat()), models=BOTH, purposes=small_first) as at:
        assert at.chat(model="purpose:work").headers["aos-model"] == "light"
        at.charged(JSON.tokens)


def test_a_hedge_asks_the_next_model_where_the_first_is_silent_and_cuts_it(database: Database) -> None:
    with open_models(database, whole(JSON.chat()), models=BOTH, purposes=[purpose(hedge_after_ms=20)]) as at:
        first = at.chat(model="purpose:work")
        assert (first.status_code, len(at.upstream.received)) == (200, 1)
        slow = first.headers["aos-model"]
        other = ({"light", "strong"} - {slow}).pop()
        at.upstream.by_model = {f"{slow}-upstream-1": silent()}
        done = at.chat(model="purpose:work")
        assert (done.status_code, done.headers["aos-model"], asked(at)[1:]) == (200, other, [slow, other])
        until(lambda: at.upstream.cut == 1)
        rows = at.world.rows(
            "select sum(quantity)::int from usage_event where name = %s and unit = 'output_tokens'", other
        )
        assert rows == [(JSON.tokens.output,)]
        guessed = "select sum(quantity)::int from usage_event where name = %s and unit = 'input_tokens' and estimated"
        assert at.world.rows(guessed, slow)[0][0] > 0
        assert {state for _, state in at.states()} == {"performed"}
        assert at.held() == 0


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_cached_answer_is_the_same_and_costs_nothing(database: Database, stream: bool) -> None:
    kept = [purpose(cache_seconds=600)]
    good = streamed(REPLY.chat_events()) if stream else whole(REPLY.chat())
    with open_models(database, good, models=BOTH, purposes=kept) as at:
        first, again = (at.chat(model="purpose:work", stream=stream) for _ in range(2))
        assert again.content == first.content
        assert again.headers["content-type"].split(";")[0] == first.headers["content-type"].split(";")[0]
        assert len(at.upstream.received) == 1
        assert [state for _, state in at.states()] == ["performed"] * 2
        at.charged(REPLY.tokens)
        assert at.usage()["cached_calls"] == 1
        assert at.chat(model="purpose:work", stream=stream, seed=7).status_code == 200
        assert len(at.upstream.received) == 2
        at.world.rows("update organization set epoch = epoch + 1")
        at.door.run(at.door.running.facts.refresh())
        assert at.chat(model="purpose:work", stream=stream).status_code == 200
        assert len(at.upstream.received) == 3


def test_a_cache_answers_nobody_who_may_not_ask(database: Database) -> None:
    long = Rule("no-work", 1, Outcome.DENY, (), ("model:*",), "args.max_tokens == 77", "not now")
    with open_models(database, whole(REPLY.chat()), models=BOTH, purposes=[purpose(cache_seconds=600)]) as at:
        assert at.chat(model="purpose:work", max_tokens=77).status_code == 200
        at.world.publish(long)
        at.door.run(at.door.running.facts.refresh())
        assert at.chat(model="purpose:work", max_tokens=77).status_code == 403


def test_a_canary_gets_its_share_and_the_same_request_the_same_model(database: Database) -> None:
    with open_models(database, whole(REPLY.chat()), models=BOTH, purposes=[purpose(canary={"strong": 40})]) as at:
        chosen = {seed: at.chat(model="purpose:work", seed=seed).headers["aos-model"] for seed in range(60)}
        share = Counter(chosen.values())
        assert 8 <= share["strong"] <= 45
        assert share["light"] == 60 - share["strong"]
        assert all(at.chat(model="purpose:work", seed=seed).headers["aos-model"] == chosen[seed] for seed in range(10))
