"""What a caller who may ask one thing tries in order to get another: each is held to what was decided and held for it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from aos.kernel.models.prices import FREE
from aos.kernel.models.values import Provider, Purpose
from aos.kernel.money import Money
from aos.kernel.policy.values import Outcome, Rule
from tests.contract.model_upstream import Held, cut_after, whole
from tests.contract.model_wire import Reply
from tests.contract.model_worlds import CLAUDE, GPT, HELLO, open_models
from tests.databases import Database
from tests.doors import revoke, until
from tests.worlds import agent

REPLY = Reply()
MESSAGES = "/v1/messages"


def test_a_kept_answer_goes_to_nobody_who_may_not_ask_the_model_that_gave_it(database: Database) -> None:
    purpose = Purpose("p", (GPT, "small"), cache_seconds=60)
    with open_models(
        database,
        whole(REPLY.chat()),
        models={GPT: {}, "small": {}},
        purposes=[purpose],
        agents=[agent("other", models=("small",))],
    ) as at:
        other = at.door.api_key("other")
        done = [at.chat(model="purpose:p", key=key) for key in (at.key, at.key, other)]
        assert [each.headers["aos-model"] for each in done] == [GPT, GPT, "small"]
        assert [each.json["model"] for each in at.upstream.received] == [f"{GPT}-upstream-1", "small-upstream-1"]


def test_a_header_that_belongs_to_the_question_is_part_of_what_is_asked_again_and_approved(database: Database) -> None:
    body = {"model": CLAUDE, "messages": HELLO, "max_tokens": 9}
    betas = Rule(
        "betas", 1, Outcome.DENY, (), ("model:*",), 'has(args.anthropic_beta) && args.anthropic_beta != "a"', "which"
    )
    with open_models(database, whole(REPLY.messages()), rules=[betas]) as at:
        first = at.post(MESSAGES, body, idempotency_key="k", anthropic_beta="a")
        again = at.post(MESSAGES, body, idempotency_key="k", anthropic_beta="a")
        assert (first.status_code, again.headers["idempotency-replayed"]) == (200, "true")
        assert at.post(MESSAGES, body, idempotency_key="k").status_code == 422
        assert at.post(MESSAGES, body, idempotency_key="k2", anthropic_beta="b").status_code == 403
        assert len(at.upstream.received) == 1


def test_counting_tokens_is_answered_whole_whatever_the_body_says_of_streams(database: Database) -> None:
    with open_models(database, whole({"input_tokens": 5})) as at:
        done = at.post(f"{MESSAGES}/count_tokens", {"model": CLAUDE, "messages": HELLO, "stream": True})
        assert (done.status_code, done.json()) == (200, {"input_tokens": 5})
        assert at.states() == [(CLAUDE, "performed")]


def test_an_output_limit_reaches_a_server_that_does_not_read_the_name_it_has(database: Database) -> None:
    with open_models(database, whole(REPLY.chat()), models={GPT: {"provider": Provider.COMPATIBLE}}) as at:
        for limits in ({"max_completion_tokens": 10}, {"max_tokens": None, "max_completion_tokens": 10}):
            body = {"model": GPT, "messages": HELLO, **limits}
            assert at.post("/v1/chat/completions", body).status_code == 200
            assert at.upstream.received[-1].json["max_tokens"] == 10


def test_input_that_the_body_does_not_show_goes_to_no_model_whose_context_is_unknown(database: Database) -> None:
    unknown = {"context_tokens": 0}
    with open_models(
        database, whole(REPLY.responses()), models={GPT: unknown, "free": {**unknown, "prices": (FREE,)}}
    ) as at:
        body = {"input": "hi", "previous_response_id": "resp_1", "max_output_tokens": 9}
        done = at.post("/v1/responses", {"model": GPT, **body})
        assert (done.status_code, done.json()["error"]["param"]) == (400, "model")
        assert (at.states(), at.upstream.received) == ([], [])
        assert at.post("/v1/responses", {"model": "free", **body}).status_code == 200


def test_who_waited_for_room_asks_no_fallback_that_it_may_no_longer_ask(database: Database) -> None:
    held = Held()
    models = {GPT: {"fallbacks": ("small",)}, "small": {}, "first": {}}
    with open_models(database, whole(REPLY.chat()), models=models, budget=Money(2_000_000, "EUR")) as at:
        at.upstream.by_model |= {
            "first-upstream-1": whole(REPLY.chat(), held=held),
            f"{GPT}-upstream-1": whole({"error": {"message": "down"}}, status="500 Internal Server Error"),
        }
        with ThreadPoolExecutor(2) as threads:
            first = threads.submit(at.chat, model="first", max_tokens=120)
            until(lambda: held.waiting == 1)
            second = threads.submit(at.chat, max_tokens=120)
            until(lambda: bool(at.door.running.gate._rooms._lines))
            spec = "update agent_version set spec = jsonb_set(spec, '{models}', '[\"gpt\", \"first\"]')"
            revoke(at.world, spec)
            held.let_go()
            assert first.result().status_code == 200
            assert second.result().status_code == 500
        assert "small-upstream-1" not in {each.json["model"] for each in at.upstream.received}
        assert at.held() == 0


def test_a_stream_of_many_choices_that_is_cut_is_charged_for_all_that_was_seen(database: Database) -> None:
    events = REPLY.chat_events()
    word = next(each for each in events if b'"content"' in each)
    with open_models(database, cut_after([word] * 64)) as at:
        assert at.chat(stream=True, n=64, max_tokens=2).status_code == 200
        assert at.usage()["output_tokens"] == 128
        assert at.estimated() == {True}
