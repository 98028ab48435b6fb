"""Routing: who can answer comes first by what is wished, who cannot is told why, and every choice can be made again."""

from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aos.kernel.agents import AgentType
from aos.kernel.dialects.values import Asked, Dialect
from aos.kernel.errors import InvalidRequest
from aos.kernel.models.catalogue import find
from aos.kernel.models.explanation import (
    read_question,
    replay,
    sentences,
    write_question,
)
from aos.kernel.models.health import BreakerState, Health
from aos.kernel.models.purposes import PURPOSES
from aos.kernel.models.routing import Candidate, choose, dialect_for
from aos.kernel.models.scores import BEST, PARTS, WEIGHTS
from aos.kernel.models.values import Capability, CascadeCheck, Objective, Provider, Purpose
from aos.kernel.models.wishes import AUTO, Wish, demand, goal_complexity, purpose_of, signs, wish_of

CHAT = (Dialect.CHAT,)
ALL = tuple(Capability)[:4]


def candidate(name: str, strength: int = 3, cost_nanos: int = 1_000_000, **changes: object) -> Candidate:
    plain = Candidate(name, Provider.OPENAI, CHAT, strength, 128_000, 16_000, ALL, cost_nanos=cost_nanos)
    return replace(plain, **changes)  # type: ignore[arg-type]


LIGHT = candidate("light", 1, 100_000, health=Health(p50_ms=150, p95_ms=300))
MIDDLE = candidate("middle", 3, 2_000_000, health=Health(p50_ms=600, p95_ms=900))
STRONG = candidate("strong", 5, 40_000_000, health=Health(p50_ms=2_500, p95_ms=6_000))
THREE = (LIGHT, MIDDLE, STRONG)
EASY = Wish("work", Dialect.CHAT, words=8)
HARD = Wish(
    "work", Dialect.CHAT, needs=(Capability.TOOLS, Capability.REASONING), words=500, tools=6, reasoning=True,
    goal_complexity=3,
)  # fmt: skip


def purpose(objective: Objective = Objective.BALANCED, **changes: object) -> Purpose:
    return replace(Purpose("work", ("light", "middle", "strong"), objective), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("objective", "wish", "kind", "first"),
    [
        (Objective.BALANCED, EASY, AgentType.SUB_AGENT, "light"),
        (Objective.BALANCED, EASY, AgentType.FUNCTIONAL, "light"),
        (Objective.BALANCED, HARD, AgentType.EXECUTIVE, "strong"),
        (Objective.BALANCED, HARD, AgentType.FUNCTIONAL, "strong"),
        (Objective.QUALITY, EASY, AgentType.FUNCTIONAL, "strong"),
        (Objective.QUALITY, HARD, AgentType.EXECUTIVE, "strong"),
        (Objective.LATENCY, HARD, AgentType.FUNCTIONAL, "light"),
        (Objective.LATENCY, EASY, AgentType.SUB_AGENT, "light"),
        (Objective.COST, HARD, AgentType.SUB_AGENT, "light"),
        (Objective.COST, EASY, AgentType.FUNCTIONAL, "light"),
    ],
)
def test_the_first_choice_follows_what_is_preferred_how_hard_it_is_and_who_asks(
    objective: Objective, wish: Wish, kind: AgentType, first: str
) -> None:
    asked = replace(wish, agent_type=kind)
    assert choose(asked, THREE, purpose(objective)).names[0] == first
    reversed_purpose = purpose(objective, models=("strong", "middle", "light"))
    assert choose(asked, THREE[::-1], reversed_purpose).names[0] == first


def test_the_same_request_runs_stronger_for_an_executive_than_for_its_sub_agent() -> None:
    middling = Wish("work", Dialect.CHAT, needs=(Capability.TOOLS,), words=150, tools=4, goal_complexity=2)
    strengths = {each.name: each.strength for each in THREE}
    executive = choose(replace(middling, agent_type=AgentType.EXECUTIVE), THREE, purpose()).names[0]
    sub_agent = choose(replace(middling, agent_type=AgentType.SUB_AGENT), THREE, purpose()).names[0]
    assert strengths[executive] > strengths[sub_agent]


@pytest.mark.parametrize(
    ("unable", "wish", "reason"),
    [
        (candidate("x", capabilities=()), HARD, "it has no tools and no reasoning"),
        (candidate("x", context_tokens=4_096), replace(EASY, input_tokens_max=80_000), "do not fit its context of 4096"),
        (candidate("x", context_tokens=4_096), replace(EASY, output_tokens=5_000), "do not fit its context of 4096"),
        (candidate("x", output_tokens_max=500), replace(EASY, output_tokens=501), "it writes at most 500"),
        (candidate("x", dialects=(Dialect.RESPONSES,)), EASY, "does not speak openai-chat"),
        (candidate("x", dialects=(Dialect.EMBEDDINGS,)), EASY, "does not speak openai-chat"),
        (candidate("x", capabilities=(Capability.EMBEDDINGS,)), EASY, "embeddings only"),
        (candidate("x"), replace(EASY, dialect=Dialect.EMBEDDINGS), "does not speak openai-embeddings"),
        (candidate("x", health=Health(BreakerState.OPEN, 800)), EASY, "breaker is open: 80 % of its last calls failed"),
        (candidate("x", health=Health(room="no request left for 2.0 s")), EASY, "no request left for 2.0 s"),
        (candidate("x", cost_nanos=11), replace(EASY, room_nanos=10), "may cost 11 nanos and the budget has 10 left"),
    ],
)  # fmt: skip
def test_who_cannot_answer_is_rejected_with_the_reason_and_never_asked(
    unable: Candidate, wish: Wish, reason: str
) -> None:
    able = candidate("able", cost_nanos=1, dialects=(*CHAT, Dialect.EMBEDDINGS))
    choice = choose(wish, (unable, able), purpose())
    assert choice.names == ("able",)
    assert [rejected.name for rejected in choice.rejected] == ["x"]
    assert reason in choice.rejected[0].reason


@pytest.mark.parametrize(
    ("region", "provider", "taken"),
    [
        ("eu", Provider.OPENAI, True),
        ("us", Provider.OPENAI, False),
        ("", Provider.OPENAI, False),
        ("local", Provider.LOCAL, True),
        ("local", Provider.OPENAI, False),
    ],
)
def test_data_stay_in_the_regions_that_the_purpose_names(region: str, provider: Provider, taken: bool) -> None:
    one = candidate("x", region=region, provider=provider)
    assert bool(choose(EASY, (one,), purpose(residency=("eu", "ch"))).order) is taken
    assert choose(EASY, (one,), purpose()).order


def test_residency_binds_also_a_request_that_names_its_model() -> None:
    named = Wish("", Dialect.CHAT)
    assert not choose(named, (candidate("x", region="us"),), purpose(residency=("eu",))).order


def test_a_request_that_names_its_model_gets_it_and_its_fallbacks_in_their_order() -> None:
    named = replace(HARD, purpose="")
    unknown = candidate("named", 1, capabilities=(), context_tokens=10)
    choice = choose(named, (unknown, STRONG, LIGHT), None)
    assert choice.names == ("named", "strong", "light")
    broken = replace(unknown, health=Health(BreakerState.OPEN, 1_000))
    assert choose(named, (broken, STRONG, LIGHT), None).names == ("strong", "light")


def test_a_server_that_fails_is_asked_after_one_that_does_not() -> None:
    failing = replace(candidate("failing"), health=Health(error_per_mille=300, p50_ms=200, p95_ms=200))
    trying = replace(candidate("trying"), health=Health(BreakerState.HALF_OPEN, 300, p50_ms=200, p95_ms=200))
    sound = replace(candidate("sound"), health=Health(p50_ms=200, p95_ms=200))
    assert choose(EASY, (trying, failing, sound), purpose()).names == ("sound", "failing", "trying")


def test_live_latency_moves_a_choice() -> None:
    one, other = candidate("one"), candidate("other")
    assert choose(EASY, (one, other), purpose(Objective.LATENCY)).names[0] == "one"
    slow = replace(one, health=Health(p50_ms=9_000, p95_ms=20_000))
    assert choose(EASY, (slow, other), purpose(Objective.LATENCY)).names[0] == "other"


def test_equal_candidates_stay_in_the_order_of_the_purpose() -> None:
    names = ("b", "a", "c")
    assert choose(EASY, [candidate(name) for name in names], purpose()).names == names


def test_a_cascade_asks_from_the_lightest_on() -> None:
    choice = choose(HARD, THREE[::-1], purpose(Objective.QUALITY, cascade=(CascadeCheck.JSON,)))
    assert choice.names == ("light", "middle", "strong")
    assert any("cascade" in reason for reason in choice.reasons)


def test_a_canary_takes_its_share_and_always_the_same_requests() -> None:
    cheap = purpose(Objective.COST, canary={"strong": 5})
    first = [choose(replace(EASY, digest=str(n)), THREE, cheap).names[0] for n in range(4_000)]
    assert 140 <= first.count("strong") <= 260
    assert first == [choose(replace(EASY, digest=str(n)), THREE, cheap).names[0] for n in range(4_000)]
    assert set(first) == {"strong", "light"}


@pytest.mark.parametrize(("percent", "share"), [(0, 0), (100, 50)])
def test_a_canary_of_none_takes_none_and_of_all_takes_all(percent: int, share: int) -> None:
    some = purpose(Objective.COST, canary={"strong": percent})
    first = [choose(replace(EASY, digest=str(n)), THREE, some).names[0] for n in range(50)]
    assert first.count("strong") == share


def test_a_canary_that_cannot_answer_leaves_the_order_as_it_is_and_says_so() -> None:
    broken = replace(STRONG, health=Health(BreakerState.OPEN, 1_000))
    choice = choose(EASY, (LIGHT, MIDDLE, broken), purpose(Objective.COST, canary={"strong": 100}))
    assert choice.names == ("light", "middle")
    assert "canary: strong was due and cannot answer" in choice.reasons


@pytest.mark.parametrize(
    ("wish", "name", "first"),
    [
        (Wish(AUTO, Dialect.EMBEDDINGS, needs=(Capability.EMBEDDINGS,)), "embedding", "text-embedding-3-small"),
        (Wish(AUTO, Dialect.CHAT, words=5, agent_type=AgentType.SUB_AGENT), "high-speed", "gpt-3.5-turbo"),
        (replace(HARD, purpose=AUTO, agent_type=AgentType.EXECUTIVE), "specialized-reasoning", "claude-opus-5-5"),
        (Wish(AUTO, Dialect.CHAT, needs=(Capability.TOOLS,), tools=2, words=60), "general-reasoning", "gpt-4-turbo"),
    ],
)
def test_left_to_aos_a_request_goes_to_what_its_signs_fit(wish: Wish, name: str, first: str) -> None:
    known = [find(each) for each in ("gpt-4-turbo", "gpt-3.5-turbo", "claude-opus-5-5", "text-embedding-3-small")]
    costs = (20_000_000, 800_000, 60_000_000, 20_000)
    candidates = [
        Candidate(
            each.name, each.provider, each.dialects, each.strength, each.context_tokens, each.output_tokens_max,
            each.capabilities, each.tags, each.region, cost_nanos,
        )
        for each, cost_nanos in zip(known, costs, strict=True)
        if each
    ]  # fmt: skip
    choice = choose(wish, candidates, None)
    assert purpose_of(wish, demand(wish)) == choice.purpose == name
    assert choice.names[0] == first
    assert choice.purpose in PURPOSES


@pytest.mark.parametrize(
    ("asked", "spoken", "sent"),
    [
        (Dialect.CHAT, (Dialect.MESSAGES, Dialect.CHAT), Dialect.CHAT),
        (Dialect.CHAT, (Dialect.MESSAGES,), Dialect.MESSAGES),
        (Dialect.MESSAGES, (Dialect.CHAT,), Dialect.CHAT),
        (Dialect.RESPONSES, (Dialect.CHAT, Dialect.RESPONSES), Dialect.RESPONSES),
        (Dialect.RESPONSES, (Dialect.MESSAGES,), Dialect.MESSAGES),
        (Dialect.CHAT, (Dialect.RESPONSES,), None),
        (Dialect.EMBEDDINGS, (Dialect.CHAT,), None),
        (Dialect.COUNT_TOKENS, (Dialect.MESSAGES,), None),
        (Dialect.CHAT, (), None),
    ],
)
def test_a_request_goes_in_its_own_dialect_where_it_can(
    asked: Dialect, spoken: tuple[Dialect, ...], sent: Dialect | None
) -> None:
    assert dialect_for(asked, spoken) is sent


@pytest.mark.parametrize(
    ("goal", "complexity"),
    [
        ("", 0),
        ("Answer politely", 0),
        ("Match vendor invoices to orders and pay what is due", 0),
        ("Plan the campaign", 1),
        ("Reconcile the ledgers of all subsidiaries, then investigate what differs, and prepare the report for the board", 3),
    ],
)  # fmt: skip
def test_a_goal_counts_by_its_length_its_steps_and_the_judgement_it_asks_for(goal: str, complexity: int) -> None:
    assert goal_complexity(goal) == complexity


def test_a_wish_says_what_the_request_needs() -> None:
    asked = Asked(
        Dialect.CHAT, "auto", 9_000, output_limit=50, tools=("a", "b"), images=1, json_schema=True, reasoning=True, words=30
    )  # fmt: skip
    wish = wish_of(asked, AgentType.EXECUTIVE, purpose="auto", goal="Plan it", digest="d")
    assert wish.needs == (Capability.TOOLS, Capability.IMAGES, Capability.JSON_SCHEMA, Capability.REASONING)
    assert (wish.tools, wish.images, wish.output_tokens, wish.words, wish.goal_complexity) == (2, 1, 50, 30, 1)
    assert demand(wish) == sum(sign.points for sign in signs(wish)) == 5 + 5 + 10 + 5 + 25 + 8 + 20
    plain = wish_of(Asked(Dialect.EMBEDDINGS, "m", 10), AgentType.SUB_AGENT, purpose="")
    assert plain.needs == (Capability.EMBEDDINGS,)


def test_the_weights_of_every_preference_make_a_hundred() -> None:
    assert {objective: sum(weights) for objective, weights in WEIGHTS.items()} == dict.fromkeys(Objective, 100)
    assert all(len(weights) == len(PARTS) for weights in WEIGHTS.values())


some_names = st.text("abcdef/-.", min_size=1, max_size=8)
some_health = st.builds(
    Health,
    st.sampled_from(BreakerState),
    st.integers(0, 1_000),
    st.none() | st.integers(0, 10**7),
    st.none() | st.integers(0, 10**7),
    st.sampled_from(["", "", "its rate limit has no request left for 2.0 s"]),
)
some_candidates = st.lists(
    st.builds(
        Candidate,
        some_names,
        st.sampled_from(Provider),
        st.lists(st.sampled_from(Dialect), unique=True).map(tuple),
        st.integers(1, 5),
        st.integers(0, 10**6),
        st.integers(0, 10**5),
        st.lists(st.sampled_from(Capability), unique=True).map(tuple),
        st.lists(st.sampled_from([*PURPOSES]), unique=True).map(tuple),
        st.sampled_from(["", "eu", "us", "local"]),
        st.integers(0, 10**13),
        some_health,
    ),
    max_size=6,
    unique_by=lambda each: each.name,
).map(tuple)
some_wishes = st.builds(
    Wish,
    st.sampled_from(["", "auto", "work"]),
    st.sampled_from(Dialect),
    st.lists(st.sampled_from(Capability), unique=True, max_size=2).map(tuple),
    st.integers(0, 10**6),
    st.integers(0, 10**5),
    st.sampled_from(AgentType),
    st.integers(0, 1_000),
    st.integers(0, 20),
    st.integers(0, 3),
    st.booleans(),
    st.integers(0, 3),
    st.none() | st.integers(0, 10**13),
    st.text(max_size=10),
)
some_purposes = st.none() | st.builds(
    Purpose,
    st.just("work"),
    st.just(()),
    st.sampled_from(Objective),
    st.lists(st.sampled_from(["eu", "us"]), unique=True).map(tuple),
    st.dictionaries(some_names, st.integers(0, 100), max_size=2),
    cascade=st.lists(st.sampled_from(CascadeCheck), unique=True, max_size=2).map(tuple),
)


@given(some_wishes, some_candidates, some_purposes)
def test_every_candidate_is_either_ranked_or_rejected_and_points_are_bounded(
    wish: Wish, candidates: tuple[Candidate, ...], some: Purpose | None
) -> None:
    choice = choose(wish, candidates, some)
    assert sorted([*choice.names, *(each.name for each in choice.rejected)]) == sorted(each.name for each in candidates)
    assert all(each.reason for each in choice.rejected)
    for ranked in choice.order:
        assert ranked.points == sum(ranked.parts)
        assert all(points >= 0 for points in ranked.parts)
        assert 0 <= ranked.points <= 100 * BEST
    assert 0 <= choice.demand <= 100


@given(some_wishes, some_candidates, some_purposes)
def test_a_recorded_choice_is_made_again_exactly(
    wish: Wish, candidates: tuple[Candidate, ...], some: Purpose | None
) -> None:
    choice = choose(wish, candidates, some)
    recorded = json.loads(json.dumps(write_question(wish, candidates, some)))
    assert replay(recorded) == choice
    question = read_question(recorded)
    assert (question.wish, question.candidates, question.purpose) == (wish, candidates, some)
    assert msgspec.json.decode(msgspec.json.encode(choice), type=type(choice)) == choice


@given(some_wishes, some_candidates, some_purposes)
def test_every_candidate_stands_in_the_explanation_with_its_points_or_its_reason(
    wish: Wish, candidates: tuple[Candidate, ...], some: Purpose | None
) -> None:
    choice = choose(wish, candidates, some)
    lines = sentences(read_question(write_question(wish, candidates, some)))
    placed = [line for line in lines if line.split(".")[0].isdigit()]
    assert [line.split(". ", 1)[1].split(", ")[0] for line in placed] == [*choice.names]
    assert [line for line in lines if line.startswith("not ")] == [
        f"not {each.name}: {each.reason}" for each in choice.rejected
    ]


def test_an_explanation_says_what_was_seen_of_each_part() -> None:
    lines = sentences(read_question(write_question(HARD, (STRONG,), purpose())))
    assert lines[:2] == (
        "purpose work, which prefers balanced",
        "demand 84 of 100: words +15, tools +15, reasoning +25, goal +24, functional agent +5",
    )
    assert lines[2].startswith("1. strong, 72550 points (fit 28080: ")
    for seen in (
        "strength 5 where 4.36 is wanted",
        "functional agent",
        "at most 40000000 nanos",
        "first byte after 2500 ms, 95 % by 6000 ms",
        "0 % of its last calls failed",
        "candidate 1 of the purpose",
    ):
        assert seen in lines[2]


@given(some_wishes, some_candidates, some_purposes, st.data())
def test_one_candidate_that_drops_out_never_reorders_the_rest(
    wish: Wish, candidates: tuple[Candidate, ...], some: Purpose | None, data: st.DataObject
) -> None:
    before = choose(wish, candidates, some)
    if not before.order:
        return
    gone = data.draw(st.sampled_from(before.names))
    after = choose(
        wish,
        [replace(each, health=Health(BreakerState.OPEN)) if each.name == gone else each for each in candidates],
        some,
    )
    assert after.names == tuple(name for name in before.names if name != gone)


@pytest.mark.parametrize("recorded", [None, 1, "x", [], {}, {"wish": {}}, {"wish": None, "candidates": []}])
def test_what_is_no_recorded_choice_is_refused(recorded: object) -> None:
    with pytest.raises(InvalidRequest, match="none of a choice"):
        read_question(recorded)  # type: ignore[arg-type]
